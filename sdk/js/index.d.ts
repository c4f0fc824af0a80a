/** Why a plugin did not do what it was asked. There are three kinds, and never more. */
export class InvalidConfig extends Error {}
export class Transient extends Error {
  /** `afterMs` is when to try again, if the plugin knows. */
  constructor(message: string, afterMs?: number);
  afterMs?: number;
}
export class Failed extends Error {
  /** The code is lower-kebab-case and stable: it becomes the label of a metric. */
  constructor(code: string, message: string);
  code: string;
}

/** The type of a configuration or of a part of it, as a value. */
export interface Type<T> {
  read(value: unknown, path?: string): T;
}
/** What a type is in TypeScript. */
export type Of<T> = T extends Type<infer U> ? U : never;

export function string(): Type<string>;
export function number(): Type<number>;
export function integer(): Type<number>;
export function boolean(): Type<boolean>;
export function any(): Type<unknown>;
export function oneOf<const T extends string>(...texts: T[]): Type<T>;
export function optional<T>(type: Type<T>): Type<T | undefined>;
export function optional<T>(type: Type<T>, otherwise: T): Type<T>;
export function list<T>(type: Type<T>): Type<T[]>;
export function map<T>(type: Type<T>): Type<Record<string, T>>;
export function object<F extends Record<string, Type<any>>>(
  fields: F,
): Type<{ [K in keyof F]: Of<F[K]> }>;

export namespace http {
  class Response {
    constructor(status: number, headers?: [string, string][], body?: Uint8Array);
    status: number;
    headers: [string, string][];
    body: Uint8Array;
    header(name: string): string | undefined;
    text(): string;
    success(): this;
    json(): any;
  }
  interface Options {
    query?: Record<string, string | number | boolean>;
    headers?: Record<string, string>;
    json?: unknown;
    form?: Record<string, string | number | boolean>;
    body?: string | Uint8Array;
    basicAuth?: [user: string, password: string];
    timeoutMs?: number;
    /** Does not check the server's certificate, if the plugin was granted that. */
    insecure?: boolean;
  }
  function request(method: string, url: string, options?: Options): Response;
  function get(url: string, options?: Options): Response;
  function post(url: string, options?: Options): Response;
}

/** Milliseconds since the Unix epoch. */
export function now(): number;

/** Secrets by the alias that a grant gave them. */
export const secrets: {
  bytes(alias: string): Uint8Array;
  text(alias: string): string;
};

type Level = "trace" | "debug" | "info" | "warn" | "error";
type Write = (message: string, fields?: Record<string, unknown>) => void;
/** Log lines, which the host ties to the plugin and to the rollout or run at hand. */
export const log: { enabled(level: Level): boolean } & Record<Level, Write>;

/** The measurement that is taken. */
export interface Context {
  namespace: string;
  analysisRun: string;
  metric: string;
  labels: Record<string, string>;
  /** Zero for the metric's first measurement. */
  index: number;
}

export interface Measurement {
  readonly outcome: "number" | "numbers" | "value" | "no-data" | "judged" | "running";
  readonly content: any;
  readonly message?: string;
  readonly metadata: Record<string, string>;
  with(metadata: Record<string, unknown>): this;
  saying(message: string): this;
}

/** What was measured. The host judges the user's conditions on it. */
export const measurement: {
  /** One number; NaN and infinities are numbers. */
  number(number: number): Measurement;
  numbers(numbers: number[]): Measurement;
  /** Any JSON. */
  value(value: unknown): Measurement;
  /** The query was fine, and nothing came back. */
  noData(): Measurement;
  judged(verdict: "successful" | "failed" | "inconclusive"): Measurement;
  /** It takes longer: the host calls `resume` with the token, of at most 16 KiB as JSON. */
  running(token: unknown, resumeAfterMs: number): Measurement;
};

/** A metric provider. Nothing is kept between calls: each runs in an instance of its own. */
export interface MetricProvider<C> {
  config: Type<C>;
  /** Throws InvalidConfig for what a type cannot say. There is neither network nor cluster. */
  validate?(config: C): void;
  /** Takes a measurement. After a crash it may be called again, which must do no harm. */
  run(context: Context, config: C): Measurement;
  /** Goes on after `running`. Without it, `run` starts over. */
  resume?(context: Context, config: C, token: any): Measurement;
  /** Nobody waits any more: cancel what was started, as well as can be. */
  terminate?(context: Context, config: C, token: any): void;
}

export function metricProvider<C>(provider: MetricProvider<C>): MetricProvider<C>;

/** The step that is done. */
export interface StepContext {
  namespace: string;
  rollout: string;
  /** Tells the rollout from one of the same name before it. */
  rolloutUid: string;
  /** The revision that is released, as in `rollout.argoproj.io/revision`. */
  revision: string;
  /** Among the rollout's steps, from zero. */
  stepIndex: number;
  /**
   * A name for this step of this release that no other has, and that a repeated call has again:
   * a server that is given it can tell a repeated request from a second one.
   */
  readonly key: string;
}

/** How far a step is. */
export interface Progress<S> {
  readonly outcome: "done" | "failed" | "again";
  readonly content: any;
  readonly state?: S;
  readonly message?: string;
  /** Leaves something behind, which `abort` finds even when the step is done. */
  keeping<T>(state: T): Progress<T>;
  saying(message: string): this;
}

export const progress: {
  /** The release may go on. */
  done(): Progress<any>;
  /** The release must not go on: it is aborted. */
  failed(why: string): Progress<any>;
  /**
   * `run` is called again with this state, of at most 16 KiB as JSON. It outlives the controller
   * and this version of the plugin. The time is between a second and an hour.
   */
  again<S>(state: S, afterMs: number): Progress<S>;
};

/** A step. Nothing is kept between calls but its state: each runs in an instance of its own. */
export interface Step<C, S = any> {
  config: Type<C>;
  /** What one call leaves behind for the next. Without it, it is any JSON, and is not checked. */
  state?: Type<S>;
  /** Throws InvalidConfig for what a type cannot say. There is neither network nor cluster. */
  validate?(config: C): void;
  /**
   * Does the step, or goes on with it. There is no state before the first call. After a crash it
   * may be called again with the same state, which must do no harm; `context.key` helps. What is
   * thrown is no failure of the step: it means that nobody knows yet.
   */
  run(context: StepContext, config: C, state: S | undefined): Progress<S>;
  /** The release goes on without the step: stop what was started. It may never have run. */
  terminate?(context: StepContext, config: C, state: S | undefined): void;
  /** The release is aborted: undo what was done. It may never have run, or be done already. */
  abort?(context: StepContext, config: C, state: S | undefined): void;
}

export function step<C, S = any>(given: Step<C, S>): Step<C, S>;

/** What a router can do besides weights. */
export const capability: {
  /** Routes by header, as the step `setHeaderRoute` wants. */
  readonly headerRoutes: "header-routes";
  /** Copies of requests, as the step `setMirrorRoute` wants. */
  readonly mirrorRoutes: "mirror-routes";
  /** Weight for more than canary and stable, as experiments want. */
  readonly additionalDestinations: "additional-destinations";
  /** `verify` can tell that the data plane does what is wanted. */
  readonly verify: "verify";
  /** Requests of one client stay with one version. */
  readonly affinity: "affinity";
  /** Two Services that take turns in being the stable one. */
  readonly pingPong: "ping-pong";
};

/** Where a part of the traffic goes. */
export interface Destination {
  /** A Service; empty where the rollout names none. */
  service: string;
  /** The value of `rollouts-pod-template-hash`; empty while there is no ReplicaSet. */
  podHash: string;
  /** In parts of `totalWeight`. */
  weight: number;
}

/** How a text is compared; a `regex` is in the dialect of the data plane. */
export type StringMatch = { exact: string } | { prefix: string } | { regex: string };

export interface HeaderMatch {
  name: string;
  value: StringMatch;
}

/** What matches all headers goes to the canary, whatever the weights say. */
export interface HeaderRoute {
  name: string;
  headers: HeaderMatch[];
}

/** What one of `matches` fits is copied to the canary, so many of a hundred. */
export interface MirrorRoute {
  name: string;
  matches: { method?: StringMatch; path?: StringMatch; headers: HeaderMatch[] }[];
  percentage: number;
}

/**
 * All that a rollout wants, complete at every call: a route that is not in it goes, if its name is
 * one of `managedRoutes`.
 */
export interface Routing {
  namespace: string;
  rollout: string;
  /** For owner references. */
  rolloutUid: string;
  stable: Destination;
  canary: Destination;
  /** Experiments and the like. */
  additional: Destination[];
  /** What all weights add up to: 100 unless the user says otherwise. */
  totalWeight: number;
  headerRoutes: HeaderRoute[];
  mirrorRoutes: MirrorRoute[];
  /** Names that this rollout may make and remove routes by; earlier ones come first. */
  managedRoutes: string[];
  /** What later versions want, by the name of the capability; an empty object today. */
  extensions: Record<string, unknown>;
}

/** An object of Kubernetes, as in its YAML. */
export type KubeObject = Record<string, any>;

/** What a router has to see. */
export interface ObjectQuery {
  /** Such as `networking.k8s.io/v1`. */
  apiVersion: string;
  kind: string;
  /** The rollout's, if it is absent. */
  namespace?: string;
  /** Absent, it is every object that the selector selects. */
  name?: string;
  /** In the notation of `kubectl --selector`. */
  labelSelector?: string;
}

/** What is to be different. The host writes the smallest patch. */
export type Change =
  | { /** The whole object as it should be; made if it is not there. */ put: KubeObject }
  | { remove: { apiVersion: string; kind: string; namespace?: string; name: string } };

/**
 * Whether the data plane does what is wanted: it does, or not yet and what is missing, or nothing
 * tells, and the host waits a while.
 */
export type Verification = "converged" | { pending: string } | "cannot-tell";

/** What makes one object of the other: no change if they are the same, in whatever order. */
export function update(before: KubeObject, after: KubeObject): Change[];
/** A copy that can be changed. */
export function copy<T>(object: T): T;
/**
 * The path of the first field in which two objects differ, such as `spec.rules`; undefined if there
 * is none. Lists are not looked into.
 */
export function firstDifference(have: unknown, want: unknown): string | undefined;

/**
 * A traffic router. It reads and writes nothing by itself: the host reads the objects that it asks
 * for, and writes what it answers.
 */
export interface TrafficRouter<C> {
  config: Type<C>;
  /** What it can do besides weights; nothing, if it is absent. */
  capabilities?: (typeof capability)[keyof typeof capability][];
  /** Throws InvalidConfig for what a type cannot say. */
  validate?(config: C): void;
  /** Which objects it must see. Asked again with what was found, until it asks for nothing new. */
  references(wanted: Routing, config: C, found: KubeObject[]): ObjectQuery[];
  /** What has to change, in an order that is safe to stop at any point. */
  route(wanted: Routing, config: C, objects: KubeObject[]): Change[];
  verify(wanted: Routing, config: C, objects: KubeObject[]): Verification;
  /** The rollout is going, or uses another router: takes back what is the rollout's. */
  release(last: Routing, config: C, objects: KubeObject[]): Change[];
}

export function trafficRouter<C>(router: TrafficRouter<C>): TrafficRouter<C>;
