// Runs a suite of checks against the canary, and says whether it passed.
import {
  Failed,
  http,
  integer,
  InvalidConfig,
  log,
  measurement,
  metricProvider,
  object,
  optional,
  string,
  type Measurement,
} from "../sluice-sdk/index.js";

interface Run {
  id: string;
  state: "running" | "passed" | "failed" | "cancelled";
  failures?: string[];
}

// What is kept while a suite runs. A later version of this plugin may find it.
interface Token {
  id: string;
}

const config = object({
  // The runner, such as http://checks.testing.
  address: string(),
  // Which suite.
  suite: string(),
  // What the checks are run against.
  target: string(),
  // How often the runner is asked, in seconds.
  every: optional(integer(), 10),
});

const runs = (address: string, id?: string): string =>
  `${address.replace(/\/+$/, "")}/runs${id === undefined ? "" : `/${encodeURIComponent(id)}`}`;

function judge(run: Run, every: number): Measurement {
  switch (run.state) {
    case "running":
      return measurement.running({ id: run.id } satisfies Token, every * 1000);
    case "passed":
      return measurement.judged("successful").with({ run: run.id });
    case "failed": {
      const failures = run.failures ?? [];
      const answer = measurement.judged("failed").with({ run: run.id });
      return failures.length > 0 ? answer.saying(failures.join("; ")) : answer;
    }
    case "cancelled":
      return measurement.judged("inconclusive").saying("somebody cancelled the run");
    default:
      throw new Failed("unknown-state", `the run is ${JSON.stringify(run.state)}`);
  }
}

const idOf = (token: unknown): string | undefined => {
  const id = (token as Partial<Token> | null)?.id;
  return typeof id === "string" ? id : undefined;
};

export default metricProvider({
  config,

  validate({ every }) {
    if (every < 1 || every > 3600) throw new InvalidConfig("every: must be 1 to 3600 seconds");
  },

  run(context, { address, suite, target, every }) {
    // After a crash the same measurement is started again; by its key the runner knows it.
    const key = `${context.namespace}/${context.analysisRun}/${context.metric}/${context.index}`;
    const headers = { "idempotency-key": key };
    const run: Run = http.post(runs(address), { json: { suite, target }, headers }).json();
    log.info("started a suite", { suite, run: run.id });
    return judge(run, every);
  },

  resume(context, { address, every }, token) {
    const id = idOf(token);
    if (id === undefined) throw new Failed("bad-token", "the token names no run");
    return judge(http.get(runs(address, id)).json(), every);
  },

  terminate(context, { address }, token) {
    const id = idOf(token);
    if (id === undefined) return;
    const response = http.request("DELETE", runs(address, id));
    // One that is gone need not be cancelled.
    if (response.status !== 404) response.success();
  },
});
