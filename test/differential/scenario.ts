/**
 * What is compared: scenarios of calls, each an RPC with its request. Owns the form of a call and nothing of any service; the calls themselves
 * are in `calls/`, a file per service, as data.
 */
import type { Client } from "@grpc/grpc-js";
import type { TestDaemon } from "../harness/daemons.ts";
import type { MethodDefinition, ServiceDefinition } from "../../src/wire/mod.ts";
import { type CallForm, invoke, type Reply } from "./invoke.ts";

/** What later calls of a scenario need of earlier replies, and of the daemon that they go to. */
export interface Memory {
  readonly daemon: TestDaemon;
  /** A directory of the scenario's own, outside the daemon's. */
  readonly directory: string;
  /** By names that the scenario chooses. */
  readonly kept: Map<string, unknown>;
}

/** One daemon as the calls see it. */
export interface Subject {
  readonly client: Client;
  readonly memory: Memory;
}

export interface ComparedCall {
  readonly name: string;
  /** `/package.Service/Method`. */
  readonly path: string;
  run(subject: Subject): Promise<Reply>;
  /** Topics of events that follow the reply at some time; they are waited for. */
  readonly later: readonly string[];
  /** containerd 1.7 dies of it, a message being left out; there is nothing to compare there. */
  readonly deadly: boolean;
}

/** Calls that build on each other, in a namespace of their own. */
export interface Scenario {
  readonly name: string;
  readonly calls: readonly ComparedCall[];
  /** Leaves nothing of the scenario running when calls failed. */
  readonly cleanUp?: (daemon: TestDaemon) => Promise<void>;
}

export interface CallOptions extends CallForm {
  readonly keep?: (reply: Reply, kept: Map<string, unknown>) => void;
  readonly later?: readonly string[];
  readonly deadly?: boolean;
}

type Partially<C> = C extends { fromPartial(object: infer P): unknown } ? P : never;
type RequestOf<M extends MethodDefinition> = M["requestStream"] extends true
  ? readonly Partially<M["requestType"]>[]
  : Partially<M["requestType"]>;

/** Makes calls of one service: its method, the request (several, where it takes a stream) and what is special about the call. */
export function callsOf<D extends ServiceDefinition>(definition: D, standard: CallForm) {
  return <M extends keyof D["methods"] & string>(
    name: string,
    method: M,
    request: RequestOf<D["methods"][M]> | ((memory: Memory) => RequestOf<D["methods"][M]>),
    { keep, later = [], deadly = false, ...form }: CallOptions = {},
  ): ComparedCall => {
    const path = `/${definition.fullName}/${definition.methods[method]!.name}`;
    return {
      name,
      path,
      later,
      deadly,
      async run({ client, memory }) {
        const message = typeof request === "function" ? (request as (memory: Memory) => unknown)(memory) : request;
        const reply = await invoke(client, path, definition.methods[method]!, message, { ...standard, ...form });
        keep?.(reply, memory.kept);
        return reply;
      },
    };
  };
}
