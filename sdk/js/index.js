// Write a metric provider for Sluice. The same code runs in unit tests against the host of
// `./testing.js`, without a controller and without Kubernetes.
export * from "./config.js";
export * from "./errors.js";
export * as http from "./http.js";
export { now, secrets, log } from "./host.js";
export { measurement, metricProvider } from "./metric.js";
