// Steps, from the first call to the last.
import assert from "node:assert/strict";
import test from "node:test";

import { Failed, InvalidConfig, http, integer, object, progress, step, string } from "../index.js";
import { Host } from "../testing.js";

const patient = step({
  config: object({ address: string() }),
  state: object({ times: integer() }),

  validate({ address }) {
    if (!address) throw new InvalidConfig("address: name a server");
  },

  run(context, { address }, asked) {
    const times = (asked?.times ?? 0) + 1;
    const answer = http.get(`${address}/${context.key}`).json();
    if (answer === "yes") return progress.done().keeping({ times });
    if (times === 3) return progress.failed("asked three times");
    return progress.again({ times }, 5000).saying("asks again");
  },
});

const config = { address: "http://s" };
const host = (answer) =>
  new Host()
    .step({ rolloutUid: "u", revision: "7" })
    .answers("GET http://s/u-7-0", 200, JSON.stringify(answer));

test("what a call leaves behind is what the next one finds", () => {
  let state;
  for (const times of [1, 2]) {
    const { result } = host("no").runStep(patient, config, state);
    assert.deepEqual([result.outcome, result.content], ["again", 5000]);
    assert.deepEqual([result.state, result.message], [{ times }, "asks again"]);
    state = result.state;
  }
  const done = host("yes").runStep(patient, config, state).result;
  assert.deepEqual([done.outcome, done.state], ["done", { times: 3 }]);
  const failed = host("no").runStep(patient, config, state).result;
  assert.deepEqual([failed.outcome, failed.content], ["failed", "asked three times"]);
});

test("a state of another version is an error and not a no", () => {
  for (const state of ["old", null, { times: "x" }, { other: 1 }]) {
    const { error, requests } = host("yes").runStep(patient, config, state);
    assert.ok(error instanceof Failed, String(error));
    assert.equal(error.code, "bad-state");
    assert.equal(requests.length, 0, "nothing is done on its behalf");
  }
});

test("a configuration is checked by its type and by the step", () => {
  for (const [wrong, part] of [[{}, "address"], [{ address: "" }, "name a server"]]) {
    const { error } = new Host().validate(patient, wrong);
    assert.ok(error instanceof InvalidConfig && error.message.includes(part), String(error));
    assert.ok(host("yes").runStep(patient, wrong).error instanceof InvalidConfig);
  }
  assert.equal(new Host().validate(patient, config).error, undefined);
});

test("a step that has nothing to undo can be stopped and undone", () => {
  assert.equal(new Host().terminateStep(patient, config).error, undefined);
  assert.equal(new Host().abortStep(patient, config, { times: 1 }).error, undefined);
});

test("what is no step, and what is no progress, is named", () => {
  assert.throws(() => step({ config: object({}) }), /no function run/);
  assert.throws(() => step({ run() {} }), /no config/);
  const mute = step({ config: object({}), run: () => "done" });
  assert.equal(new Host().runStep(mute, {}).error.code, "no-progress");
});
