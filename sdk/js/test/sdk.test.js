// The SDK itself: configurations, text, requests, and the scripted host.
import assert from "node:assert/strict";
import test from "node:test";

import * as sdk from "../index.js";
import { Host } from "../testing.js";
import { decode, encode } from "../text.js";

const { http, integer, list, log, map, measurement, number, object, oneOf, optional, string } = sdk;

const config = object({
  address: string(),
  count: optional(integer(), 1),
  share: optional(number()),
  mode: optional(oneOf("fast", "slow")),
  headers: optional(list(object({ key: string() })), []),
  labels: optional(map(string()), {}),
});

test("every kind of field is read", () => {
  const whole = { address: "a", count: 2, share: 0.5, mode: "fast", headers: [{ key: "k" }] };
  assert.deepEqual(config.read(whole), { ...whole, labels: {} });
  assert.equal(config.read({ address: "a", count: null }).count, 1);
});

test("errors name the field", () => {
  for (const [value, expected] of [
    [[], "must be an object, and is []"],
    [{}, "address: is missing"],
    [{ address: 5 }, "address: must be a string, and is 5"],
    [{ address: "a", count: 1.5 }, "count: must be an integer, and is 1.5"],
    [{ address: "a", mode: "x" }, 'mode: must be one of fast, slow, and is "x"'],
    [{ address: "a", headers: [{}] }, "headers[0].key: is missing"],
    [{ address: "a", labels: { b: 1 } }, "labels.b: must be a string, and is 1"],
    [{ adress: "a" }, "adress: unknown field, expected address, count"],
    [{ address: "a", toString: 1 }, "toString: unknown field"],
  ]) {
    const refused = (error) => error instanceof sdk.InvalidConfig && error.message.includes(expected);
    assert.throws(() => config.read(value), refused, expected);
  }
});

test("text is what the platform makes of it", () => {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  for (const text of ["", "plain", "überweisen", "日本語", "🙂 ok", "\u0000\u07ff\u0800\uffff"]) {
    assert.deepEqual(encode(text), new TextEncoder().encode(text));
    assert.equal(decode(encode(text), true), text);
  }
  assert.deepEqual(encode("a\ud800b"), new TextEncoder().encode("a\ud800b"));
  for (const bytes of [[0xff], [0xc3], [0x61, 0x80, 0x62], [0xe2, 0x82], [0xf0, 0x9f, 0x99]]) {
    assert.equal(decode(Uint8Array.from(bytes)), decoder.decode(Uint8Array.from(bytes)));
    assert.throws(() => decode(Uint8Array.from(bytes), true), RangeError);
  }
  // Forms that are too long and halves of pairs hide characters, and are none.
  for (const bytes of [[0xc0, 0xaf], [0xe0, 0x80, 0xaf], [0xed, 0xa0, 0x80], [0xf5, 0x80]]) {
    assert.throws(() => decode(Uint8Array.from(bytes), true), RangeError);
  }
});

const poll = sdk.metricProvider({
  config: object({ address: string() }),
  run(context, { address }) {
    log.info("started", { metric: context.metric });
    const headers = { "x-token": sdk.secrets.text("token") };
    const options = { json: { now: sdk.now() }, headers, basicAuth: ["me", "pässword"] };
    return measurement.running(http.post(address, options).json().id, 10_000);
  },
  resume(context, { address }, token) {
    const answer = http.get(address, { query: { id: token, q: "a b&c" } }).json();
    return measurement.value(answer).with({ id: token }).saying("done");
  },
});

test("everything that the host gives is scripted and recorded", () => {
  const host = new Host().answers("POST http://poll/", 200, { id: 7 }).secret("token", "s").at(1000);
  const { result, requests, lines } = host.run(poll, { address: "http://poll/" });
  assert.deepEqual(result.content, { token: 7, resumeAfterMs: 10_000 });
  assert.deepEqual(lines, [{ level: "info", message: "started", fields: { metric: "" } }]);
  assert.equal(decode(requests[0].body), '{"now":1000}');
  const basic = Buffer.from("me:pässword").toString("base64");
  assert.deepEqual(requests[0].headers.at(-1), ["authorization", `Basic ${basic}`]);
});

test("answers come in turn and the last one stays", () => {
  const host = new Host()
    .answers("GET http://poll/", 503, "busy", { "Retry-After": "3" })
    .answers("GET http://poll/", 200, 0.5);
  const { error, requests } = host.resume(poll, { address: "http://poll/" }, 7);
  assert.ok(error instanceof sdk.Transient);
  assert.deepEqual([error.message, error.afterMs], ["HTTP 503: busy", 3000]);
  assert.equal(requests[0].url, "http://poll/?id=7&q=a%20b%26c");
  for (let time = 0; time < 2; time += 1) {
    assert.equal(host.resume(poll, { address: "http://poll/" }, 7).result.content, 0.5);
  }
});

test("what was not scripted is not granted, and statuses become errors", () => {
  assert.equal(new Host().run(poll, { address: "http://poll/" }).error.code, "not-granted");
  const code = (status, body) => {
    const host = new Host().answers("GET http://poll/", status, body);
    return host.resume(poll, { address: "http://poll/" }, 7).error.code;
  };
  assert.equal(code(404, ""), "http-404");
  assert.equal(code(200, "<html>"), "bad-json");
  assert.throws(() => http.get("http://poll/"), /there is no host here/);
});
