// Steps: something to do between two weights.
import { opened, plugin } from "./config.js";
import { Failed, InvalidConfig } from "./errors.js";

class Progress {
  constructor(outcome, content) {
    this.outcome = outcome;
    this.content = content;
    this.state = undefined;
    this.message = undefined;
  }

  /** Leaves something behind, which `abort` finds even when the step is done. */
  keeping(state) {
    this.state = state;
    return this;
  }

  /** Says something to people. */
  saying(message) {
    this.message = message;
    return this;
  }
}

/** How far a step is. */
export const progress = {
  done: () => new Progress("done"),
  failed: (why) => new Progress("failed", why),
  again: (state, afterMs) => new Progress("again", afterMs).keeping(state),
};

/** Checks that a step has what it must; for TypeScript it also says what it is. */
export function step(given) {
  return plugin("step", given, ["run"]);
}

/** The step that is done, from what the host says of it. */
export function stepContext({ namespace, rollout, rolloutUid, revision, stepIndex }) {
  const key = `${rolloutUid}-${revision}-${stepIndex}`;
  return { namespace, rollout, rolloutUid, revision, stepIndex, key };
}

function progressed(answer) {
  if (answer instanceof Progress) return answer;
  throw new Failed("no-progress", `the step answered ${typeof answer} and no progress`);
}

// A state that an earlier version of the plugin left behind is not the user's mistake.
function readState(type, text) {
  if (text === undefined) return undefined;
  try {
    const state = JSON.parse(text);
    return type ? type.read(state, "") : state;
  } catch (error) {
    if (error instanceof InvalidConfig || error instanceof SyntaxError) {
      throw new Failed("bad-state", `cannot read the state: ${error.message}`);
    }
    throw error;
  }
}

/** A step's functions, from JSON to its progress. A state is a text, or undefined. */
export function stepFunctions(given) {
  const open = opened(given);
  const call = (name) => (context, text, state) =>
    given[name]?.(context, open(text), readState(given.state, state));
  const run = call("run");
  return {
    validate: (text) => void open(text),
    run: (context, text, state) => progressed(run(context, text, state)),
    terminate: (...args) => void call("terminate")(...args),
    abort: (...args) => void call("abort")(...args),
  };
}
