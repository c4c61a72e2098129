/**
 * The shape of the generated service definitions, for code that serves or calls any of them.
 *
 * Owns types only: no transport, no names of services.
 */
import type { BinaryWriter } from "@bufbuild/protobuf/wire";

/** A generated message: `encode(m).finish()` gives bytes, `decode(bytes)` a message and throws on bytes that are none. */
export interface MessageCodec<T> {
  encode(message: T, writer?: BinaryWriter): BinaryWriter;
  decode(input: Uint8Array): T;
}

export interface MethodDefinition<Req = unknown, Res = unknown> {
  /** The name on the wire, as `ListStream`. */
  readonly name: string;
  readonly requestType: MessageCodec<Req>;
  readonly requestStream: boolean;
  readonly responseType: MessageCodec<Res>;
  readonly responseStream: boolean;
}

/** One `XxxDefinition` of gen/: methods are keyed by their name in camel case, as `listStream`. */
export interface ServiceDefinition {
  /** The name on the wire with its package, as `containerd.task.v2.Task`. */
  readonly fullName: string;
  readonly methods: Readonly<Record<string, MethodDefinition>>;
}

/** The request message of a method. */
export type RequestOf<M> = M extends { readonly requestType: MessageCodec<infer Req> } ? Req : never;

/** The response message of a method. */
export type ResponseOf<M> = M extends { readonly responseType: MessageCodec<infer Res> } ? Res : never;
