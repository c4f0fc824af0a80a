// What does the work of host calls: the controller in a component, a script in unit tests.
import { Failed } from "./errors.js";
import { decode } from "./text.js";

let current;

/** Puts a host in place, and gives the one that was there. */
export function use(other) {
  const before = current;
  current = other;
  return before;
}

export function host() {
  if (!current) {
    throw new Error("there is no host here: call the provider through sluice-sdk/testing.js");
  }
  return current;
}

/** Milliseconds since the Unix epoch. */
export const now = () => host().now();

export const secrets = {
  bytes: (alias) => host().secret(alias),
  text(alias) {
    try {
      return decode(host().secret(alias), true);
    } catch (error) {
      if (error instanceof RangeError) {
        throw new Failed("secret-not-text", `secret ${alias} is not UTF-8`);
      }
      throw error;
    }
  },
};

const LEVELS = ["trace", "debug", "info", "warn", "error"];

const write = (level) => (message, fields = {}) => {
  const pairs = Object.entries(fields).map(([name, value]) => [name, String(value)]);
  host().log(level, String(message), pairs);
};

export const log = {
  enabled: (level) => host().enabled(level),
  ...Object.fromEntries(LEVELS.map((level) => [level, write(level)])),
};
