/**
 * A gRPC client of any service that has a generated definition. Owns the connection and the mapping from a definition's methods to
 * promises and async iterables; knows no service by name, and never retries.
 */
import { Client, credentials, Metadata } from "@grpc/grpc-js";

interface Codec {
  // biome-ignore lint/suspicious/noExplicitAny: the message types are recovered by inference below
  encode(message: any): { finish(): Uint8Array };
  decode(input: Uint8Array): unknown;
  // biome-ignore lint/suspicious/noExplicitAny: see above
  fromPartial(object: any): unknown;
}

export interface Method {
  readonly name: string;
  readonly requestType: Codec;
  readonly requestStream: boolean;
  readonly responseType: Codec;
  readonly responseStream: boolean;
}

export interface Definition {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, Method>>;
}

export type Partially<C extends Codec> = Parameters<C["fromPartial"]>[0];
export type Whole<C extends Codec> = ReturnType<C["decode"]>;
type Request<M extends Method> = M["requestStream"] extends true
  ? Iterable<Partially<M["requestType"]>> | AsyncIterable<Partially<M["requestType"]>>
  : Partially<M["requestType"]>;
type Response<M extends Method> = M["responseStream"] extends true
  ? AsyncIterable<Whole<M["responseType"]>>
  : Promise<Whole<M["responseType"]>>;

export interface CallOptions {
  /** Cancels the call. */
  readonly signal?: AbortSignal;
  /** Told what position of the log the reply stands on, when its headers come; undefined from a server that has none. */
  readonly onPosition?: (position: string | undefined) => void;
}

/** The methods of a service. Requests may leave fields out. A call rejects with grpc-js's ServiceError. */
export type ServiceClient<D extends Definition> = {
  readonly [K in keyof D["methods"]]: (request: Request<D["methods"][K]>, options?: CallOptions) => Response<D["methods"][K]>;
};

/** containerd's limit in both directions; gRPC's own default is 4 MiB. */
const messageBytesMax = 16 * 1024 * 1024;

/** What goes with each call as metadata: what it is about, and what keeps its results from being collected. */
export interface Headers {
  readonly namespace?: string;
  readonly lease?: string;
}

export interface Connection {
  service<D extends Definition>(definition: D, headers?: Headers): ServiceClient<D>;
  close(): void;
}

/** Connects on the first call. `address` is the path of a unix socket. */
export function connect(address: string): Connection {
  const client = new Client(`unix:${address}`, credentials.createInsecure(), {
    "grpc.max_receive_message_length": messageBytesMax,
    "grpc.max_send_message_length": messageBytesMax,
    // A socket of this machine is there again as soon as its process is: nothing is spared by waiting for minutes.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1_000,
  });
  return {
    service<D extends Definition>({ fullName, methods }: D, { namespace, lease }: Headers = {}) {
      const metadata = new Metadata();
      if (namespace !== undefined) metadata.set("containerd-namespace", namespace);
      if (lease !== undefined) metadata.set("containerd-lease", lease);
      const callers = Object.entries(methods).map(([key, method]) => [key, caller(client, fullName, method, metadata)]);
      // The callers are what the definition says; that they are, TypeScript cannot follow through the loop.
      return Object.fromEntries(callers) as unknown as ServiceClient<D>;
    },
    close: () => client.close(),
  };
}

type Caller = (request: never, options?: CallOptions) => Promise<unknown> | AsyncIterable<unknown>;

function caller(client: Client, service: string, method: Method, metadata: Metadata): Caller {
  const path = `/${service}/${method.name}`;
  const serialize = (message: unknown) =>
    Buffer.from(method.requestType.encode(method.requestType.fromPartial(message)).finish());
  const deserialize = (bytes: Buffer) => method.responseType.decode(bytes);

  if (method.requestStream && method.responseStream) {
    return (requests: never, options = {}) => {
      const call = client.makeBidiStreamRequest(path, serialize, deserialize, metadata, {});
      attend(call, options);
      // Who reads gets the error from the iterator; one that has stopped reading is not to be ended by it.
      call.on("error", () => {});
      // A failed call breaks the writing off as well; the error itself comes out of the reading side.
      send(requests, call).catch(() => call.cancel());
      return call;
    };
  }
  if (method.requestStream) throw new TypeError(`${path} is client-streaming, which no service here is`);
  if (method.responseStream) {
    return (request: never, options = {}) => {
      const call = client.makeServerStreamRequest(path, serialize, deserialize, request, metadata, {});
      attend(call, options);
      return call;
    };
  }
  return (request: never, options = {}) =>
    new Promise((resolve, reject) => {
      const call = client.makeUnaryRequest(path, serialize, deserialize, request, metadata, {}, (error, reply) =>
        error ? reject(error) : resolve(reply),
      );
      attend(call, options);
    });
}

interface Running {
  cancel(): void;
  on(event: "status", listener: () => void): unknown;
  on(event: "metadata", listener: (metadata: Metadata) => void): unknown;
}

function attend(call: Running, { signal, onPosition }: CallOptions): void {
  if (onPosition !== undefined)
    call.on("metadata", (metadata) => onPosition(metadata.get("shiplog-position")[0]?.toString()));
  if (signal === undefined) return;
  const cancel = () => call.cancel();
  if (signal.aborted) cancel();
  signal.addEventListener("abort", cancel, { once: true });
  call.on("status", () => signal.removeEventListener("abort", cancel));
}

async function send(
  requests: Iterable<unknown> | AsyncIterable<unknown>,
  call: { write(message: unknown, written: (error?: Error | null) => void): boolean; end(): void },
): Promise<void> {
  for await (const request of requests) {
    await new Promise<void>((resolve, reject) => {
      call.write(request, (error) => (error ? reject(error) : resolve()));
    });
  }
  call.end();
}
