// Write metric providers, traffic routers and steps for Sluice. The same code runs in unit tests against the host of
// `./testing.js`, without a controller and without Kubernetes.
export {
  any,
  boolean,
  integer,
  list,
  map,
  number,
  object,
  oneOf,
  optional,
  string,
} from "./config.js";
export * from "./errors.js";
export * as http from "./http.js";
export { now, secrets, log } from "./host.js";
export { measurement, metricProvider } from "./metric.js";
export { capability, copy, firstDifference, trafficRouter, update } from "./router.js";
export { progress, step } from "./step.js";
