/**
 * A client of one service, made from its generated definition over grpc-js, as any foreign client would be. Speaks to shiplog and to
 * containerd alike; knows none of shiplog's own transport.
 */
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";

interface Codec {
  // biome-ignore lint/suspicious/noExplicitAny: the message types are recovered by inference below
  encode(message: any): { finish(): Uint8Array };
  // biome-ignore lint/suspicious/noExplicitAny: see above
  decode(input: Uint8Array): any;
  // biome-ignore lint/suspicious/noExplicitAny: see above
  fromPartial(message: any): any;
}

interface Method {
  readonly name: string;
  readonly requestType: Codec;
  readonly requestStream: boolean;
  readonly responseType: Codec;
  readonly responseStream: boolean;
}

interface Definition {
  readonly fullName: string;
  readonly methods: { readonly [key: string]: Method };
}

/** Headers of a call. `position` is told the `shiplog-position` of the reply, if there is one. */
export interface CallHeaders {
  readonly namespace?: string;
  readonly lease?: string;
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

type RequestOf<M extends Method> = Parameters<M["requestType"]["fromPartial"]>[0];
type ResponseOf<M extends Method> = ReturnType<M["responseType"]["decode"]>;

type Call<M extends Method> = M["requestStream"] extends true
  ? (headers: CallHeaders) => Exchange<RequestOf<M>, ResponseOf<M>>
  : M["responseStream"] extends true
    ? (request: RequestOf<M>, headers: CallHeaders) => AsyncIterable<ResponseOf<M>>
    : (request: RequestOf<M>, headers: CallHeaders) => Promise<ResponseOf<M>>;

export type ServiceClient<D extends Definition> = { readonly [K in keyof D["methods"]]: Call<D["methods"][K]> } & {
  close(): void;
};

/** As containerd's own client allows. */
const options = {
  "grpc.max_receive_message_length": 16 * 1024 * 1024,
  "grpc.max_send_message_length": 16 * 1024 * 1024,
};

/** A client on a unix socket. It connects at its first call, and is closed by its owner. */
export function serviceClient<D extends Definition>(definition: D, socket: string): ServiceClient<D> {
  const client = new Client(`unix:${socket}`, credentials.createInsecure(), options);
  const calls = Object.entries(definition.methods).map(([key, method]) => [
    key,
    callOf(client, definition.fullName, method),
  ]);
  return Object.assign(Object.fromEntries(calls), { close: () => client.close() });
}

function callOf(client: Client, service: string, method: Method): unknown {
  const path = `/${service}/${method.name}`;
  const encode = (message: unknown) =>
    Buffer.from(method.requestType.encode(method.requestType.fromPartial(message)).finish());
  const decode = (bytes: Buffer) => method.responseType.decode(bytes);
  if (method.requestStream) {
    return (headers: CallHeaders) =>
      exchangeOver(watched(client.makeBidiStreamRequest(path, encode, decode, metadataOf(headers)), headers));
  }
  if (method.responseStream) {
    return (request: unknown, headers: CallHeaders) =>
      watched(client.makeServerStreamRequest(path, encode, decode, request, metadataOf(headers)), headers);
  }
  return (request: unknown, headers: CallHeaders) =>
    new Promise((resolve, reject) => {
      const answered = (error: ServiceError | null, reply: unknown) =>
        error === null ? resolve(reply) : reject(error);
      watched(client.makeUnaryRequest(path, encode, decode, request, metadataOf(headers), answered), headers);
    });
}

type Surface = { cancel(): void; once(event: "metadata", listener: (metadata: Metadata) => void): unknown };

function watched<S extends Surface>(surface: S, { signal, position }: CallHeaders): S {
  signal?.addEventListener("abort", () => surface.cancel());
  if (position !== undefined)
    surface.once("metadata", (metadata) => position(metadata.get("shiplog-position")[0]?.toString()));
  return surface;
}

function metadataOf({ namespace, lease }: CallHeaders): Metadata {
  const metadata = new Metadata();
  if (namespace !== undefined) metadata.set("containerd-namespace", namespace);
  if (lease !== undefined) metadata.set("containerd-lease", lease);
  return metadata;
}

function exchangeOver(stream: ReturnType<Client["makeBidiStreamRequest"]>): Exchange<unknown, unknown> {
  const replies = stream[Symbol.asyncIterator]();
  // Whoever waits for a reply gets the error from the iterator; nobody has to wait.
  stream.on("error", () => {});
  const next = async () => {
    const reply = await replies.next();
    return reply.done === true ? undefined : reply.value;
  };
  return {
    send: (message) => void stream.write(message),
    next,
    async exchange(message) {
      stream.write(message);
      const reply = await next();
      if (reply === undefined) throw new Error("the server ended the call without a reply");
      return reply;
    },
    end: () => stream.end(),
    cancel: () => stream.cancel(),
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
