// Metric providers: one measurement of one metric.
import { opened, plugin } from "./config.js";
import { Failed } from "./errors.js";

class Measurement {
  constructor(outcome, content) {
    this.outcome = outcome;
    this.content = content;
    this.message = undefined;
    this.metadata = {};
  }

  /** Adds to what is kept with the measurement: the query as it was sent, a link. */
  with(metadata) {
    for (const [name, value] of Object.entries(metadata)) this.metadata[name] = String(value);
    return this;
  }

  /** Says something to people. */
  saying(message) {
    this.message = message;
    return this;
  }
}

const one = (outcome) => (content) => new Measurement(outcome, content);

/** What was measured. The host judges the user's conditions on it. */
export const measurement = {
  number: one("number"),
  numbers: one("numbers"),
  value: one("value"),
  noData: () => new Measurement("no-data"),
  judged: one("judged"),
  running: (token, resumeAfterMs) => new Measurement("running", { token, resumeAfterMs }),
};

/** Checks that a provider has what it must; for TypeScript it also says what it is. */
export function metricProvider(provider) {
  return plugin("provider", provider, ["run"]);
}

function measured(answer) {
  if (answer instanceof Measurement) return answer;
  throw new Failed("no-measurement", `the provider answered ${typeof answer} and no measurement`);
}

/** A provider's functions, from JSON to a measurement. */
export function functions(provider) {
  const open = opened(provider);
  const run = (context, text) => measured(provider.run(context, open(text)));
  return {
    validate: (text) => void open(text),
    run,
    resume(context, text, token) {
      if (!provider.resume) return run(context, text);
      return measured(provider.resume(context, open(text), JSON.parse(token)));
    },
    terminate(context, text, token) {
      provider.terminate?.(context, open(text), JSON.parse(token));
    },
  };
}
