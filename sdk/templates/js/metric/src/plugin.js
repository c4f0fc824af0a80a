// Says which share of a service's requests fails.
// @ts-check
import { http, measurement, metricProvider, object, string } from "../sluice-sdk/index.js";

export default metricProvider({
  // What a user writes under the plugin's name in a metric.
  config: object({
    // The server, such as http://rates.monitoring.
    address: string(),
    // Which service.
    service: string(),
  }),

  run(context, { address, service }) {
    const { rate } = http.get(`${address}/rates`, { query: { service } }).json();
    return rate === null ? measurement.noData() : measurement.number(rate).with({ service });
  },
});
