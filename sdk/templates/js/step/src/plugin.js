// Runs a job on a server between two weights, and waits for it.
// @ts-check
import { Failed, http, object, progress, step, string } from "../sluice-sdk/index.js";

// A job that is not there is as good as one that was stopped.
function stop(url) {
  const answer = http.request("DELETE", url);
  if (answer.status !== 404) answer.success();
}

// Where the job of a step is. It has the step's own name, so that starting it twice starts it once,
// and an abort finds it without a state.
const place = (context, { address }) => `${address}/runs/${context.key}`;

export default step({
  // What a user writes under `config`.
  config: object({
    // The server, such as http://jobs.shop.
    address: string(),
    // Which job it runs.
    job: string(),
  }),

  // What one call leaves behind for the next.
  state: object({ url: string() }),

  run(context, config, started) {
    const { job } = config;
    const url = started?.url ?? place(context, config);
    const answer = started ? http.get(url) : http.request("PUT", url, { json: { job } });
    switch (answer.json()?.state) {
      case "succeeded":
        return progress.done().keeping({ url });
      case "failed":
        return progress.failed(`the job ${job} failed`);
      case "running":
        return progress.again({ url }, 10_000).saying(`waits for the job ${job}`);
      default:
        throw new Failed("odd-state", "the answer names no state of a job");
    }
  },

  terminate(context, config, started) {
    stop(started?.url ?? place(context, config));
  },

  abort(context, config, started) {
    stop(started?.url ?? place(context, config));
  },
});
