// The type of a configuration, as a value: it is checked where the program runs, and TypeScript
// knows it as well.
import { InvalidConfig } from "./errors.js";

function wrong(path, value, wanted) {
  const text = JSON.stringify(value) ?? "absent";
  const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  return new InvalidConfig(`${path ? `${path}: ` : ""}must be ${wanted}, and is ${shown}`);
}

const plain = (wanted, is) => ({
  read(value, path) {
    if (!is(value)) throw wrong(path, value, wanted);
    return value;
  },
});

export const string = () => plain("a string", (value) => typeof value === "string");
export const number = () => plain("a number", (value) => typeof value === "number");
export const integer = () => plain("an integer", (value) => Number.isInteger(value));
export const boolean = () => plain("true or false", (value) => typeof value === "boolean");
export const any = () => plain("anything", () => true);

/** One of some texts. */
export const oneOf = (...texts) =>
  plain(`one of ${texts.join(", ")}`, (value) => texts.includes(value));

/** May be left out, or null; then it is what `otherwise` says. */
export const optional = (type, otherwise) => ({
  optional: true,
  otherwise,
  read: (value, path) => (value === null ? otherwise : type.read(value, path)),
});

/** A list of such. */
export const list = (type) => ({
  read(value, path) {
    if (!Array.isArray(value)) throw wrong(path, value, "a list");
    return value.map((item, index) => type.read(item, `${path}[${index}]`));
  },
});

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const below = (path, name) => (path ? `${path}.${name}` : name);

/** An object with any names and such values. */
export const map = (type) => ({
  read(value, path) {
    if (!isObject(value)) throw wrong(path, value, "an object");
    const read = ([name, item]) => [name, type.read(item, below(path, name))];
    return Object.fromEntries(Object.entries(value).map(read));
  },
});

/** An object with these fields and no other. */
export const object = (fields) => ({
  read(value, path = "") {
    if (!isObject(value)) throw wrong(path, value, "an object");
    for (const name of Object.keys(value)) {
      if (!Object.hasOwn(fields, name)) {
        const known = Object.keys(fields).join(", ") || "nothing";
        throw new InvalidConfig(`${below(path, name)}: unknown field, expected ${known}`);
      }
    }
    const found = {};
    for (const [name, type] of Object.entries(fields)) {
      if (Object.hasOwn(value, name)) found[name] = type.read(value[name], below(path, name));
      else if (type.optional) found[name] = type.otherwise;
      else throw new InvalidConfig(`${below(path, name)}: is missing`);
    }
    return found;
  },
});

const parse = (text) => {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidConfig(`no JSON: ${error.message}`);
  }
};

/** Reads the configuration of a plugin from JSON, and has the plugin check it. */
export const opened = (plugin) => (text) => {
  const config = plugin.config.read(parse(text), "");
  plugin.validate?.(config);
  return config;
};

/** Checks that a plugin has what it must, and gives it back. */
export function plugin(what, given, functions) {
  for (const name of functions) {
    if (typeof given?.[name] !== "function") {
      throw new TypeError(`the ${what} has no function ${name}`);
    }
  }
  if (typeof given.config?.read !== "function") {
    throw new TypeError(`the ${what} has no config, such as object({ address: string() })`);
  }
  return given;
}
