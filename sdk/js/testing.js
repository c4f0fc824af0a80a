// A host for unit tests: it answers from a script and records what it was asked.
import { applied, seen } from "./cluster.js";
import { opened } from "./config.js";
import { Failed } from "./errors.js";
import { use } from "./host.js";
import { Response } from "./http.js";
import { functions } from "./metric.js";
import { routerFunctions } from "./router.js";
import { stepContext, stepFunctions } from "./step.js";
import { encode } from "./text.js";

const NOWHERE = { service: "", podHash: "", weight: 0 };

const routing = ({ stable, canary, additional = [], ...wanted }) => ({
  namespace: "default",
  rollout: "",
  rolloutUid: "",
  totalWeight: 100,
  headerRoutes: [],
  mirrorRoutes: [],
  managedRoutes: [],
  extensions: {},
  ...wanted,
  stable: { ...NOWHERE, ...stable },
  canary: { ...NOWHERE, ...canary },
  additional: additional.map((destination) => ({ ...NOWHERE, ...destination })),
});

/** A host that grants nothing yet, at the beginning of 1970. */
export class Host {
  #script = [];
  #secrets = new Map();
  #now = 0;
  #context = { namespace: "", analysisRun: "", metric: "", labels: {}, index: 0 };
  #step = { namespace: "", rollout: "", rolloutUid: "", revision: "", stepIndex: 0 };
  #objects = [];
  #ran;

  /**
   * Answers a route, such as `POST http://shop/search`: a string as it is, the rest as JSON.
   *
   * A URL's query counts only if the route has one. A route with several answers gives them in
   * turn, the last one for ever. What no route covers is not granted.
   */
  answers(route, status, body, headers = {}) {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const response = new Response(status, Object.entries(headers), encode(text));
    this.#script.push({ route, response, used: false });
    return this;
  }

  /** Lets a route fail, as with `new Transient("no answer in time")`. */
  fails(route, error) {
    this.#script.push({ route, error, used: false });
    return this;
  }

  /** Grants a secret. */
  secret(alias, value) {
    this.#secrets.set(alias, typeof value === "string" ? encode(value) : value);
    return this;
  }

  /** Sets the time, in milliseconds since the Unix epoch. */
  at(now) {
    this.#now = now;
    return this;
  }

  /** Sets the measurement that is taken. */
  context(context) {
    this.#context = { ...this.#context, ...context };
    return this;
  }

  /** Sets the step that is done. */
  step(context) {
    this.#step = { ...this.#step, ...context };
    return this;
  }

  /** Of a plugin of any kind. */
  validate(plugin, config) {
    return this.#call(() => void opened(plugin)(JSON.stringify(config)));
  }

  run(provider, config) {
    return this.#call(() => functions(provider).run(this.#context, JSON.stringify(config)));
  }

  resume(provider, config, token) {
    const texts = [JSON.stringify(config), JSON.stringify(token)];
    return this.#call(() => functions(provider).resume(this.#context, ...texts));
  }

  terminate(provider, config, token) {
    const texts = [JSON.stringify(config), JSON.stringify(token)];
    return this.#call(() => functions(provider).terminate(this.#context, ...texts));
  }

  runStep(step, config, state) {
    return this.#callStep("run", step, config, state);
  }

  terminateStep(step, config, state) {
    return this.#callStep("terminate", step, config, state);
  }

  abortStep(step, config, state) {
    return this.#callStep("abort", step, config, state);
  }

  // States are read and written as between two calls of the controller.
  #callStep(name, step, config, state) {
    const text = state === undefined ? undefined : JSON.stringify(state);
    const context = stepContext(this.#step);
    const calls = stepFunctions(step);
    return this.#call(() => calls[name](context, JSON.stringify(config), text));
  }

  /** Sets the objects that are there. A router sees those that it asks for, and no other. */
  objects(...objects) {
    this.#objects = objects;
    return this;
  }

  route(router, config, wanted) {
    return this.#change("route", router, config, wanted);
  }

  release(router, config, last) {
    return this.#change("release", router, config, last);
  }

  verify(router, config, wanted) {
    return this.#ask("verify", router, config, routing(wanted));
  }

  // What there is after the changes comes with them, to be asked about again.
  #change(name, router, config, partial) {
    const wanted = routing(partial);
    const ran = this.#ask(name, router, config, wanted);
    ran.objects = applied(this.#objects, wanted.namespace, ran.result ?? []);
    return ran;
  }

  #ask(name, router, config, wanted) {
    const calls = routerFunctions(router);
    const text = JSON.stringify(config);
    return this.#call(() => {
      const references = (found) => calls.references(wanted, text, found);
      return calls[name](wanted, text, seen(this.#objects, wanted.namespace, references));
    });
  }

  #call(work) {
    this.#ran = { requests: [], lines: [] };
    const before = use({
      send: (request) => this.#send(request),
      secret: (alias) => this.#secret(alias),
      enabled: () => true,
      log: (level, message, fields) =>
        this.#ran.lines.push({ level, message, fields: Object.fromEntries(fields) }),
      now: () => this.#now,
    });
    try {
      this.#ran.result = work();
    } catch (error) {
      this.#ran.error = error;
    } finally {
      use(before);
    }
    return this.#ran;
  }

  #send(request) {
    this.#ran.requests.push(request);
    const whole = `${request.method} ${request.url}`;
    const fitting = this.#script.filter(({ route }) =>
      [whole, whole.split("?")[0]].includes(route),
    );
    const found = fitting.find(({ used }) => !used) ?? fitting.at(-1);
    if (!found) throw new Failed("not-granted", `the plugin lacks the grant ${whole}`);
    found.used = true;
    if (found.error) throw found.error;
    return found.response;
  }

  #secret(alias) {
    if (this.#secrets.has(alias)) return this.#secrets.get(alias);
    throw new Failed("not-granted", `the plugin lacks the grant secret ${alias}`);
  }
}
