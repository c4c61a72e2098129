/**
 * The type of a service: handlers by method name, derived from the generated definition. A method that is left out answers
 * UNIMPLEMENTED with its name.
 */
import type { Call } from "./call.ts";

interface Codec<Message> {
  encode(message: Message): { finish(): Uint8Array };
  decode(input: Uint8Array): Message;
}

/** A method as ts-proto's generic definitions state it. */
export interface MethodDefinition {
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: the message types are recovered by inference below
  readonly requestType: Codec<any>;
  readonly requestStream: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: see above
  readonly responseType: Codec<any>;
  readonly responseStream: boolean;
}

export interface ServiceDefinition {
  readonly name: string;
  readonly fullName: string;
  readonly methods: { readonly [method: string]: MethodDefinition };
}

type MessageOf<C> = C extends Codec<infer Message> ? Message : never;
type Request<M extends MethodDefinition> = M["requestStream"] extends true
  ? AsyncIterable<MessageOf<M["requestType"]>>
  : MessageOf<M["requestType"]>;

export type Handler<M extends MethodDefinition> = M["responseStream"] extends true
  ? (request: Request<M>, call: Call) => AsyncIterable<MessageOf<M["responseType"]>>
  : (request: Request<M>, call: Call) => Promise<MessageOf<M["responseType"]>>;

export type Service<D extends ServiceDefinition> = {
  readonly [Method in keyof D["methods"]]?: Handler<D["methods"][Method]>;
};
