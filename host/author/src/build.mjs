// Bundles a plugin and makes a component of it. `sluice plugin build` writes and runs this; what
// it needs to know is in the environment.
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";

const env = (name) => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
};
const modules = env("SLUICE_NODE_MODULES");
const require = createRequire(join(modules, "index.js"));
const esbuild = require("esbuild");
const { componentize } = require("componentize-qjs");

// By the kind of a plugin, the interface that it exports and what makes one of it in the SDK.
const kinds = {
  metric: ["provider", "provide"],
  router: ["router", "provideRouter"],
  step: ["step", "provideStep"],
};
const [exported, provide] = kinds[env("SLUICE_KIND")];

const out = env("SLUICE_OUT");
const asked = env("SLUICE_REQUESTS").split(",").filter(Boolean);
const sources = ["plugin.ts", "plugin.js", "plugin.mjs"];
const source = sources.map((name) => resolve("src", name)).find(existsSync);
if (!source) throw new Error(`src has none of ${sources.join(", ")}`);

// What plugin.yaml does not ask for is not in the component's world. A call of it says so.
const world = {
  name: "world",
  setup(build) {
    build.onResolve({ filter: /^sluice:/ }, ({ path }) => {
      const name = path.replace(/^sluice:host\//, "").replace(/@.*$/, "");
      if (name === "log" || asked.includes(name)) return { path, external: true };
      return { path: name, namespace: "not-asked-for" };
    });
    build.onLoad({ filter: /.*/, namespace: "not-asked-for" }, ({ path }) => {
      const text = `plugin.yaml does not ask for ${path}: add it to requests`;
      const refuse = `() => { throw { tag: "not-requested", val: ${JSON.stringify(text)} }; }`;
      return { contents: `export const send = ${refuse}; export const get = send;` };
    });
  },
};

const bundle = join(dirname(out), "bundle.js");
const result = await esbuild.build({
  stdin: {
    contents: [
      `import plugin from ${JSON.stringify(source)};`,
      `import { ${provide} } from ${JSON.stringify(resolve("sluice-sdk", "component.js"))};`,
      `export const ${exported} = ${provide}(plugin);`,
    ].join("\n"),
    resolveDir: process.cwd(),
  },
  bundle: true,
  format: "esm",
  target: "es2023",
  charset: "utf8",
  legalComments: "none",
  logLevel: "silent",
  plugins: [world],
  write: false,
}).catch((error) => {
  const lines = esbuild.formatMessagesSync(error.errors ?? [], { kind: "error" });
  console.error(lines.join("\n") || error);
  process.exit(1);
});
await writeFile(bundle, result.outputFiles[0].contents);

const { component } = await componentize({
  witPath: env("SLUICE_WIT"),
  world: env("SLUICE_WORLD"),
  jsSource: await readFile(bundle, "utf8"),
  sync: true,
});
await writeFile(out, component);
