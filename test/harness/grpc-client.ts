/**
 * The client of src/cli as tests use it: headers with each call, streams message by message, and statuses by name. Speaks to shiplog and to
 * containerd alike.
 */
import { PassThrough } from "node:stream";
import { type ServiceError, status } from "@grpc/grpc-js";
import {
  connect,
  type Connection,
  type Definition,
  type Headers,
  type Method,
  type Partially,
  type Whole,
} from "../../src/cli/client.ts";

/** Headers of a call. `position` is told the `shiplog-position` of the reply, if there is one. */
export interface CallHeaders extends Headers {
  readonly signal?: AbortSignal;
  readonly position?: (position: string | undefined) => void;
}

/** A stream of messages each way. `exchange` sends one and waits for its reply; a status other than OK is thrown by whoever waits. */
export interface Exchange<Request, Response> {
  send(message: Request): void;
  /** The next reply, undefined when the server has ended the call with OK. */
  next(): Promise<Response | undefined>;
  exchange(message: Request): Promise<Response>;
  /** Half-closes. */
  end(): void;
  cancel(): void;
}

type RequestOf<M extends Method> = Partially<M["requestType"]>;
type ResponseOf<M extends Method> = Whole<M["responseType"]>;

type Call<M extends Method> = M["requestStream"] extends true
  ? (headers: CallHeaders) => Exchange<RequestOf<M>, ResponseOf<M>>
  : M["responseStream"] extends true
    ? (request: RequestOf<M>, headers: CallHeaders) => AsyncIterable<ResponseOf<M>>
    : (request: RequestOf<M>, headers: CallHeaders) => Promise<ResponseOf<M>>;

export type ServiceClient<D extends Definition> = { readonly [K in keyof D["methods"]]: Call<D["methods"][K]> } & {
  close(): void;
};

/** A client on a unix socket. It connects at its first call, and is closed by its owner. */
export function serviceClient<D extends Definition>(definition: D, socket: string): ServiceClient<D> {
  const connection = connect(socket);
  const calls = Object.keys(definition.methods).map((key) => [key, callOf(connection, definition, key)]);
  return Object.assign(Object.fromEntries(calls), { close: () => connection.close() });
}

type Made = (request: unknown, options: { signal?: AbortSignal }) => unknown;

function callOf(connection: Connection, definition: Definition, key: string): unknown {
  const call = (request: unknown, { signal, position, ...headers }: CallHeaders) =>
    (connection.service(definition, headers)[key] as Made)(request, {
      ...(signal !== undefined && { signal }),
      ...(position !== undefined && { onPosition: position }),
    });
  if (!definition.methods[key]!.requestStream) return call;
  return (headers: CallHeaders) => {
    const gone = new AbortController();
    const signal = AbortSignal.any([gone.signal, ...(headers.signal === undefined ? [] : [headers.signal])]);
    const requests = new PassThrough({ objectMode: true });
    const replies = (call(requests, { ...headers, signal }) as AsyncIterable<unknown>)[Symbol.asyncIterator]();
    const next = async () => {
      const reply = await replies.next();
      return reply.done === true ? undefined : reply.value;
    };
    return {
      send: (message: unknown) => void requests.write(message),
      next,
      async exchange(message: unknown) {
        requests.write(message);
        const reply = await next();
        if (reply === undefined) throw new Error("the server ended the call without a reply");
        return reply;
      },
      end: () => requests.end(),
      cancel: () => gone.abort(),
    };
  };
}

/** The name of the gRPC code that a call ended with, as `NOT_FOUND`; fails when it ended well, or by another error. */
export async function codeOf(call: Promise<unknown> | AsyncIterable<unknown>): Promise<string> {
  try {
    if (Symbol.asyncIterator in call) await Array.fromAsync(call);
    else await call;
  } catch (error) {
    const { code } = error as Partial<ServiceError>;
    if (typeof code === "number") return status[code]!;
    throw error;
  }
  return "OK";
}

/** The gRPC message that a call ended with. */
export async function messageOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    return (error as ServiceError).details;
  }
  throw new Error("the call ended well");
}
