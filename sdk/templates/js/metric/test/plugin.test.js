import assert from "node:assert/strict";
import test from "node:test";

import { Host } from "../sluice-sdk/testing.js";
import plugin from "../src/plugin.js";

const config = { address: "http://rates.test", service: "shop" };

test("a rate is a number", () => {
  const host = new Host().answers("GET http://rates.test/rates", 200, { rate: 0.02 });
  const { result, error, requests } = host.run(plugin, config);
  assert.equal(error, undefined);
  assert.equal(result.content, 0.02);
  assert.equal(requests[0].url, "http://rates.test/rates?service=shop");
});
