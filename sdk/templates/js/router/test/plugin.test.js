import assert from "node:assert/strict";
import test from "node:test";

import { InvalidConfig } from "../sluice-sdk/index.js";
import { Host } from "../sluice-sdk/testing.js";
import plugin from "../src/plugin.js";

const config = { route: "shop" };
const wanted = {
  stable: { service: "shop-stable", weight: 80 },
  canary: { service: "shop-canary", weight: 20 },
};
const route = {
  apiVersion: "gateway.example.com/v1",
  kind: "WeightedRoute",
  metadata: { name: "shop", generation: 1 },
  spec: {
    backends: [
      { service: "shop-stable", weight: 100 },
      { service: "shop-canary", weight: 0 },
    ],
  },
};

test("weights are moved once", () => {
  const { objects, error } = new Host().objects(route).route(plugin, config, wanted);
  assert.equal(error, undefined);
  assert.deepEqual(
    objects[0].spec.backends.map(({ weight }) => weight),
    [80, 20],
  );
  const again = new Host().objects(...objects).route(plugin, config, wanted);
  assert.deepEqual(again.result, []);
});

test("a route must be named", () => {
  assert.ok(new Host().validate(plugin, { route: "" }).error instanceof InvalidConfig);
});
