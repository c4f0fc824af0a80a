// Writes down what is wanted, as it came, and removes what is old.
import { object, string, trafficRouter, update } from "../sluice-sdk/index.js";

const apiVersion = "example.com/v1";

export default trafficRouter({
  config: object({ name: string() }),
  capabilities: ["header-routes", "mirror-routes", "additional-destinations", "ping-pong"],

  references(wanted, { name }) {
    const echo = { apiVersion, kind: "Echo", name };
    return [echo, { apiVersion, kind: "Old", namespace: "attic", labelSelector: `of=${name}` }];
  },

  route(wanted, { name }, objects) {
    const echo = objects.find(({ kind }) => kind === "Echo") ?? {};
    const metadata = { ...echo.metadata, name, namespace: wanted.namespace };
    const changes = update(echo, { apiVersion, kind: "Echo", metadata, spec: wanted });
    const old = objects.filter(({ kind }) => kind === "Old");
    const gone = old.map(({ kind, metadata: { name, namespace } }) => ({
      remove: { apiVersion, kind, namespace, name },
    }));
    return [...changes, ...gone];
  },

  verify(wanted, config, objects) {
    const open = this.route(wanted, config, objects).length;
    return open > 0 ? { pending: `${open} to go` } : "converged";
  },

  release(last, { name }, objects) {
    const there = objects.some(({ kind }) => kind === "Echo");
    return there ? [{ remove: { apiVersion, kind: "Echo", namespace: last.namespace, name } }] : [];
  },
});
