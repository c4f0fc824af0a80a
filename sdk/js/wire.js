// The way to the host, and what every kind of component needs. Only a component has this module.
import * as wireHttp from "sluice:host/http@0.1.0";
import * as wireLog from "sluice:host/log@0.1.0";
import * as wireSecrets from "sluice:host/secrets@0.1.0";

import { Failed, InvalidConfig, Transient } from "./errors.js";
import { use } from "./host.js";
import { Response } from "./http.js";

const LARGEST_U32 = 0xffffffff;

// What a host call throws is the case of its error, or has it as its payload.
const caseOf = (error) => error?.payload ?? error;

function httpError(error) {
  const { tag, val } = caseOf(error);
  switch (tag) {
    case "not-granted":
      return new Failed("not-granted", `the plugin lacks the grant ${val}`);
    case "invalid-request":
      return new Failed("invalid-request", `invalid request: ${val}`);
    case "timeout":
      return new Transient("no answer in time");
    case "connect":
      return new Transient(`cannot connect: ${val}`);
    case "too-large":
      return new Failed("too-large", `the answer is larger than ${val} bytes`);
    case "other":
      return new Transient(val);
    case "not-requested":
      return new Failed("not-requested", val);
    default:
      return error;
  }
}

function secretError(error) {
  const { tag, val } = caseOf(error);
  switch (tag) {
    case "not-granted":
      return new Failed("not-granted", `the plugin lacks the grant ${val}`);
    case "not-found":
      return new Failed("secret-not-found", `secret not found: ${val}`);
    case "unavailable":
      return new Transient(`secret unavailable: ${val}`);
    case "not-requested":
      return new Failed("not-requested", val);
    default:
      return error;
  }
}

const controller = {
  send(request) {
    try {
      const { body = null, timeoutMs = null } = request;
      const answer = wireHttp.send({ ...request, body, timeoutMs });
      return new Response(answer.status, answer.headers, Uint8Array.from(answer.body));
    } catch (error) {
      throw httpError(error);
    }
  },
  secret(alias) {
    try {
      return Uint8Array.from(wireSecrets.get(alias));
    } catch (error) {
      throw secretError(error);
    }
  },
  enabled: (level) => wireLog.enabled(level),
  log: (level, message, fields) => wireLog.write(level, message, fields),
  now: () => Date.now(),
};

/** For the host: whole, and none that it cannot count to. */
export const milliseconds = (number) =>
  Number.isFinite(number) ? Math.max(0, Math.min(Math.round(number), LARGEST_U32)) : null;

function pluginError(error) {
  if (error instanceof InvalidConfig) return { tag: "invalid-config", val: error.message };
  if (error instanceof Transient) {
    const afterMs = milliseconds(error.afterMs);
    return { tag: "transient", val: { message: error.message, afterMs } };
  }
  if (error instanceof Failed) {
    return { tag: "failed", val: { code: error.code, message: error.message } };
  }
  // Whatever the author did not think of has its line in the log, and its text in the answer.
  wireLog.write("error", `${error}\n${error?.stack ?? ""}`, []);
  return { tag: "failed", val: { code: "exception", message: String(error) } };
}

/** What is sent as JSON. */
export function json(value) {
  const text = JSON.stringify(value);
  if (text === undefined) throw new Failed("not-json", `the answer is no JSON: ${typeof value}`);
  return text;
}

/** The functions that a component exports: the controller is their host, and errors are its. */
export function exported(calls) {
  use(controller);
  const guarded = (work) => (...given) => {
    try {
      return work(...given);
    } catch (error) {
      throw pluginError(error);
    }
  };
  return Object.fromEntries(Object.entries(calls).map(([name, work]) => [name, guarded(work)]));
}
