// The component: what the host calls. Only a component has this module.
import { functions } from "./metric.js";
import { routerFunctions } from "./router.js";
import { stepContext, stepFunctions } from "./step.js";
import { exported, json, milliseconds } from "./wire.js";

function outcome({ outcome: tag, content }) {
  switch (tag) {
    case "no-data":
      return { tag };
    case "value":
      return { tag, val: json(content) };
    case "running": {
      const resumeAfterMs = milliseconds(content.resumeAfterMs) ?? 0;
      return { tag, val: { token: json(content.token), resumeAfterMs } };
    }
    case "number":
      return { tag, val: Number(content) };
    case "numbers":
      return { tag, val: content.map(Number) };
    default:
      return { tag, val: content };
  }
}

const answer = (measured) => ({
  outcome: outcome(measured),
  message: measured.message ?? null,
  metadata: Object.entries(measured.metadata),
});

const context = ({ namespace, analysisRun, metric, labels, index }) => ({
  namespace,
  analysisRun,
  metric,
  labels: Object.fromEntries(labels),
  index,
});

/** What the component exports for a provider. */
export function provide(provider) {
  const calls = functions(provider);
  return exported({
    validate: (config) => calls.validate(config),
    run: (ctx) => answer(calls.run(context(ctx), ctx.config)),
    resume: (ctx, token) => answer(calls.resume(context(ctx), ctx.config, token)),
    terminate: (ctx, token) => calls.terminate(context(ctx), ctx.config, token),
  });
}

const stepOutcome = ({ outcome: tag, content }) => {
  switch (tag) {
    case "failed":
      return { tag, val: String(content) };
    case "again":
      return { tag, val: milliseconds(content) ?? 0 };
    default:
      return { tag };
  }
};

const stepResult = (progressed) => ({
  outcome: stepOutcome(progressed),
  state: progressed.state === undefined ? null : json(progressed.state),
  message: progressed.message ?? null,
});

/** What the component exports for a step. */
export function provideStep(step) {
  const calls = stepFunctions(step);
  const given = (ctx) => [stepContext(ctx), ctx.config, ctx.state ?? undefined];
  return exported({
    validate: (config) => calls.validate(config),
    run: (ctx) => stepResult(calls.run(...given(ctx))),
    terminate: (ctx) => calls.terminate(...given(ctx)),
    abort: (ctx) => calls.abort(...given(ctx)),
  });
}

// What has one of several forms: { exact: "a" } is easier to write and to compare.
const form = ({ tag, val }) => ({ [tag]: val });
const maybe = (value) => (value == null ? undefined : form(value));
const headers = (list) => list.map(({ name, value }) => ({ name, value: form(value) }));

const routing = ({ config: _, ...wanted }) => ({
  ...wanted,
  headerRoutes: wanted.headerRoutes.map((route) => ({ ...route, headers: headers(route.headers) })),
  mirrorRoutes: wanted.mirrorRoutes.map((route) => ({
    ...route,
    matches: route.matches.map((match) => ({
      method: maybe(match.method),
      path: maybe(match.path),
      headers: headers(match.headers),
    })),
  })),
  extensions: JSON.parse(wanted.extensions),
});

const query = ({ apiVersion, kind, namespace, name, labelSelector }) => ({
  apiVersion,
  kind,
  namespace: namespace ?? null,
  name: name ?? null,
  labelSelector: labelSelector ?? null,
});

function change({ put, remove }) {
  if (put !== undefined) return { tag: "put", val: json(put) };
  const { apiVersion, kind, namespace, name } = remove;
  return { tag: "remove", val: { apiVersion, kind, namespace: namespace ?? null, name } };
}

const verification = (found) =>
  typeof found === "string" ? { tag: found } : { tag: "pending", val: found.pending };

/** What the component exports for a router. */
export function provideRouter(router) {
  const calls = routerFunctions(router);
  const given = (wanted, objects) => [routing(wanted), wanted.config, objects];
  return exported({
    capabilities: () => calls.capabilities(),
    validate: (config) => calls.validate(config),
    references: (...args) => calls.references(...given(...args)).map(query),
    route: (...args) => calls.route(...given(...args)).map(change),
    verify: (...args) => verification(calls.verify(...given(...args))),
    release: (...args) => calls.release(...given(...args)).map(change),
  });
}
