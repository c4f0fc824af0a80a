// Traffic routers: from the routing that a rollout wants and the objects that are there, the objects
// as they should be.
import { opened, plugin } from "./config.js";
import { Failed } from "./errors.js";

/** What a router can do besides weights. */
export const capability = {
  headerRoutes: "header-routes",
  mirrorRoutes: "mirror-routes",
  additionalDestinations: "additional-destinations",
  verify: "verify",
  affinity: "affinity",
  pingPong: "ping-pong",
};

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * The path of the first field in which two objects differ, such as `spec.rules`; undefined if there
 * is none. Lists are not looked into; for two values of which one is no object, it is empty.
 */
export function firstDifference(have, want) {
  if (!isObject(have) || !isObject(want)) return same(have, want) ? undefined : "";
  const names = [...new Set([...Object.keys(have), ...Object.keys(want)])].sort();
  for (const name of names) {
    // To the API server, a field that is undefined is one that is not there.
    if (have[name] === undefined && want[name] === undefined) continue;
    const rest = firstDifference(have[name], want[name]);
    if (rest !== undefined) return rest === "" ? name : `${name}.${rest}`;
  }
  return undefined;
}

function same(have, want) {
  if (Array.isArray(have) && Array.isArray(want)) {
    return have.length === want.length && have.every((item, index) => same(item, want[index]));
  }
  if (isObject(have) && isObject(want)) return firstDifference(have, want) === undefined;
  return have === want;
}

/** What makes one object of the other: no change if they are the same, in whatever order. */
export const update = (before, after) => (same(before, after) ? [] : [{ put: after }]);

/** A copy that can be changed. */
export const copy = (object) => JSON.parse(JSON.stringify(object));

/** Checks that a router has what it must; for TypeScript it also says what it is. */
export function trafficRouter(router) {
  return plugin("router", router, ["references", "route", "verify", "release"]);
}

function read(texts) {
  try {
    return texts.map((text) => JSON.parse(text));
  } catch (error) {
    throw new Failed("bad-object", `cannot read an object: ${error.message}`);
  }
}

function listed(what, answer) {
  if (Array.isArray(answer)) return answer;
  throw new Failed(`no-${what}`, `the router answered ${typeof answer} and no list of ${what}`);
}

function verified(answer) {
  const plain = answer === "converged" || answer === "cannot-tell";
  if (plain || typeof answer?.pending === "string") return answer;
  const known = '"converged", "cannot-tell" or { pending }';
  throw new Failed("no-verification", `the router answered ${typeof answer}, and not ${known}`);
}

/** A router's functions, from JSON on. Objects are texts. */
export function routerFunctions(router) {
  const open = opened(router);
  const call = (name, wanted, config, objects) =>
    router[name](wanted, open(config), read(objects));
  return {
    capabilities: () => [...(router.capabilities ?? [])],
    validate: (text) => void open(text),
    references: (...args) => listed("queries", call("references", ...args)),
    route: (...args) => listed("changes", call("route", ...args)),
    verify: (...args) => verified(call("verify", ...args)),
    release: (...args) => listed("changes", call("release", ...args)),
  };
}
