import type { Context, Measurement, MetricProvider } from "./index.js";
import type { Progress, Step, StepContext, Type } from "./index.js";
import type { Change, Destination, KubeObject } from "./index.js";
import type { Routing, TrafficRouter, Verification } from "./index.js";

/** The routing that is wanted; what is absent is empty, and weights add up to 100. */
export type Wanted = Partial<Omit<Routing, "stable" | "canary" | "additional">> & {
  stable?: Partial<Destination>;
  canary?: Partial<Destination>;
  additional?: Partial<Destination>[];
};

/** What a call answered, and what it did. */
export interface Ran<T> {
  result?: T;
  error?: any;
  requests: {
    method: string;
    url: string;
    headers: [string, string][];
    body?: Uint8Array;
    timeoutMs?: number;
    insecure: boolean;
  }[];
  lines: { level: string; message: string; fields: Record<string, string> }[];
}

/** A host for unit tests: it answers from a script and records what it was asked. */
export class Host {
  answers(route: string, status: number, body: unknown, headers?: Record<string, string>): this;
  fails(route: string, error: Error): this;
  secret(alias: string, value: string | Uint8Array): this;
  at(now: number): this;
  context(context: Partial<Context>): this;
  step(context: Partial<Omit<StepContext, "key">>): this;
  validate<C>(
    plugin: { config: Type<C>; validate?(config: C): void },
    config: unknown,
  ): Ran<void>;
  run<C>(provider: MetricProvider<C>, config: unknown): Ran<Measurement>;
  resume<C>(provider: MetricProvider<C>, config: unknown, token: unknown): Ran<Measurement>;
  terminate<C>(provider: MetricProvider<C>, config: unknown, token: unknown): Ran<void>;
  runStep<C, S>(step: Step<C, S>, config: unknown, state?: unknown): Ran<Progress<S>>;
  terminateStep<C, S>(step: Step<C, S>, config: unknown, state?: unknown): Ran<void>;
  abortStep<C, S>(step: Step<C, S>, config: unknown, state?: unknown): Ran<void>;
  /** The objects that are there. A router sees those that it asks for, and no other. */
  objects(...objects: KubeObject[]): this;
  route<C>(router: TrafficRouter<C>, config: unknown, wanted: Wanted): Changed;
  release<C>(router: TrafficRouter<C>, config: unknown, last: Wanted): Changed;
  verify<C>(router: TrafficRouter<C>, config: unknown, wanted: Wanted): Ran<Verification>;
}

/** The changes of a router, and the objects that they make of those that were there. */
export interface Changed extends Ran<Change[]> {
  objects: KubeObject[];
}
