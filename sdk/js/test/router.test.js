// Routers, from the objects that they ask for to those that they leave behind.
import assert from "node:assert/strict";
import test from "node:test";

import * as sdk from "../index.js";
import { Host } from "../testing.js";

const { InvalidConfig, copy, firstDifference, object, string, trafficRouter, update } = sdk;

// Finds a route by its gateway's name, so that it asks twice.
const weights = trafficRouter({
  config: object({ gateway: string() }),
  capabilities: [sdk.capability.verify],

  references(wanted, { gateway }, found) {
    const first = { apiVersion: "v1", kind: "Gateway", name: gateway };
    const labelSelector = `gateway=${gateway},!off`;
    const second = { apiVersion: "v1", kind: "Route", labelSelector };
    return found.length > 0 ? [first, second] : [first];
  },

  route(wanted, { gateway }, objects) {
    const route = objects.find(({ kind }) => kind === "Route");
    if (!route) throw new InvalidConfig(`gateway: ${gateway} has no route`);
    const after = copy(route);
    after.spec.canary = wanted.canary.weight / wanted.totalWeight;
    return update(route, after);
  },

  verify(wanted, config, objects) {
    const changes = this.route(wanted, config, objects);
    return changes.length > 0 ? { pending: "the route is not as wanted" } : "cannot-tell";
  },

  release(last, config, objects) {
    const { apiVersion, kind, metadata } = objects.find(({ kind }) => kind === "Route");
    return [{ remove: { apiVersion, kind, name: metadata.name } }];
  },
});

const config = { gateway: "edge" };
const gateway = { apiVersion: "v1", kind: "Gateway", metadata: { name: "edge" } };
const route = (name, canary, labels = { gateway: "edge" }) => ({
  apiVersion: "v1",
  kind: "Route",
  metadata: { name, labels },
  spec: { canary },
});
const fifth = { canary: { weight: 20 } };

test("a router sees what it asks for and no other, and settles", () => {
  const others = [route("a", 0, {}), route("b", 0, { gateway: "edge", off: "" })];
  const host = () => new Host().objects(gateway, ...others, route("shop", 0));
  assert.deepEqual(host().verify(weights, config, fifth).result, {
    pending: "the route is not as wanted",
  });
  const first = host().route(weights, config, fifth);
  assert.deepEqual(first.result, [{ put: route("shop", 0.2) }]);
  const settled = new Host().objects(...first.objects);
  assert.deepEqual(settled.route(weights, config, fifth).result, []);
  assert.equal(settled.verify(weights, config, fifth).result, "cannot-tell");
  const released = settled.release(weights, config, fifth);
  assert.deepEqual(released.objects, [gateway, ...others]);
});

test("objects are those of the namespace", () => {
  const elsewhere = copy(route("shop", 0));
  elsewhere.metadata.namespace = "other";
  const { error } = new Host().objects(gateway, elsewhere).route(weights, config, fifth);
  assert.ok(error instanceof InvalidConfig && error.message.includes("no route"), String(error));
});

test("a broken configuration is refused by every call", () => {
  for (const broken of [[], "text", { gateway: 1 }, { gateway: "a", more: 1 }]) {
    assert.ok(new Host().validate(weights, broken).error instanceof InvalidConfig);
    assert.ok(new Host().route(weights, broken, fifth).error instanceof InvalidConfig);
  }
});

test("what differs is named, whatever the order of fields", () => {
  const have = { spec: { rules: [{ a: 1, b: 2 }], name: "a" }, kind: "X" };
  assert.equal(firstDifference(have, have), undefined);
  assert.equal(firstDifference(have, { kind: "X", spec: { name: "a", rules: [] } }), "spec.rules");
  assert.equal(firstDifference(have, { kind: "X" }), "spec");
  assert.equal(firstDifference(1, 2), "");
  assert.deepEqual(update(have, { kind: "X", spec: { name: "a", rules: [{ b: 2, a: 1 }] } }), []);
  assert.deepEqual(update({ a: 1 }, { a: 1, b: undefined }), []);
  assert.deepEqual(update({ a: 1 }, { a: 2 }), [{ put: { a: 2 } }]);
});

test("answers that are none are named", () => {
  const none = { config: object({}), references: () => [], route() {}, verify() {}, release() {} };
  assert.throws(() => trafficRouter({ ...none, route: undefined }), /no function route/);
  assert.equal(new Host().route(none, {}, {}).error.code, "no-changes");
  assert.equal(new Host().verify(none, {}, {}).error.code, "no-verification");
});
