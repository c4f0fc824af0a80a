// Moves weights between the backends of a WeightedRoute.
// @ts-check
import {
  InvalidConfig,
  capability,
  copy,
  object,
  string,
  trafficRouter,
  update,
} from "../sluice-sdk/index.js";

const apiVersion = "gateway.example.com/v1";
const kind = "WeightedRoute";

function weighted(wanted, { route: name }, objects) {
  const route = objects[0];
  if (!route) throw new InvalidConfig(`route: there is no ${kind} ${name}`);
  const changed = copy(route);
  for (const { service, weight } of [wanted.stable, wanted.canary]) {
    const backend = changed.spec?.backends?.find((one) => one.service === service);
    if (!backend) throw new InvalidConfig(`route: ${kind} ${name} has no backend "${service}"`);
    backend.weight = weight;
  }
  return update(route, changed);
}

export default trafficRouter({
  // What a user writes under the plugin's name in a rollout's `trafficRouting.plugins`.
  config: object({
    // The name of the WeightedRoute, in the rollout's namespace.
    route: string(),
  }),

  capabilities: [capability.verify],

  validate({ route }) {
    if (!route) throw new InvalidConfig(`route: must be the name of a ${kind}`);
  },

  references(wanted, { route }) {
    return [{ apiVersion, kind, name: route }];
  },

  route: weighted,

  verify(wanted, config, objects) {
    if (weighted(wanted, config, objects).length > 0) {
      return { pending: `${kind} ${config.route} has other weights` };
    }
    // The gateway says for which generation of the object its status is.
    const [{ metadata, status }] = objects;
    return status?.observedGeneration === metadata.generation
      ? "converged"
      : { pending: "the gateway has not read the weights yet" };
  },

  release(last, config, objects) {
    // A route that is gone has nothing of the rollout's left in it.
    if (objects.length === 0) return [];
    const stable = { ...last.stable, weight: last.totalWeight };
    return weighted({ ...last, stable, canary: { ...last.canary, weight: 0 } }, config, objects);
  },
});
