import assert from "node:assert/strict";
import test from "node:test";

import { Host } from "../sluice-sdk/testing.js";
import plugin from "../src/plugin.js";

const config = { address: "http://jobs.test", job: "migrate" };
const host = () => new Host().step({ rolloutUid: "u", revision: "2" });

test("a job is started once and then looked after", () => {
  const first = host()
    .answers("PUT http://jobs.test/runs/u-2-0", 200, { state: "running" })
    .runStep(plugin, config);
  assert.equal(first.error, undefined);
  assert.deepEqual([first.result.outcome, first.result.content], ["again", 10_000]);
  const { result, requests } = host()
    .answers("GET http://jobs.test/runs/u-2-0", 200, { state: "succeeded" })
    .runStep(plugin, config, first.result.state);
  assert.equal(result.outcome, "done");
  assert.equal(requests.length, 1);
});

test("an abort before the first call finds no job", () => {
  const { error, requests } = host()
    .answers("DELETE http://jobs.test/runs/u-2-0", 404, "")
    .abortStep(plugin, config);
  assert.equal(error, undefined);
  assert.equal(requests.length, 1);
});
