/**
 * The gRPC server: services in, a socket out. Owns the connections, the calls under way and their end when the server stops. Behind it
 * is grpc-js, which nothing outside this folder may know of.
 *
 * grpc-js is given connections of ours instead of an address, so that each one's peer is known before its first call.
 */
import { Server, ServerCredentials } from "@grpc/grpc-js";
import type { ServerOptions as Http2ServerOptions } from "node:http2";
import { createServer, type Socket } from "node:net";
import type { Principal } from "../../events/fact.ts";
import type { Files, Ids } from "../../platform/mod.ts";
import { ShiplogError } from "../../error.ts";
import type { MethodDefinition, Service, ServiceDefinition } from "../service.ts";
import { GrpcCall, type ListeningCalls, type Surface } from "./call.ts";
import { Connections } from "./connections.ts";
import { bidiMethod, type Calls, type OnFault, serverStreamMethod, unaryMethod } from "./method.ts";
import { listenOn, type SocketOptions } from "./socket.ts";

/** Bytes of one message at most, each way, as in containerd. */
export const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Streams that a client may reset, at once and per second, before its connection is closed: without a bound that it could meet. Node's own is
 * 1,000 and 33, against strangers on a network, and closes a connection with everything on it. A peer here is one that may open the socket, and
 * a Go client resets a stream whenever the server ends it first, as after each commit of content.
 */
const RESETS_MAX = 0xffff_ffff;

export interface GrpcServerOptions {
  readonly ids: Pick<Ids, "request">;
  readonly files: Files;
  /** Who is at the other end of an accepted socket. */
  readonly peerOf: (socket: Socket) => Principal;
  readonly onFault: OnFault;
}

export class GrpcServer {
  readonly #files: Files;
  readonly #connections: Connections;
  readonly #listening: ListeningCalls = new Set();
  readonly #calls: Calls;
  readonly #server = new Server({
    "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
    "grpc.max_send_message_length": MESSAGE_BYTES_MAX,
    "grpc.enable_channelz": 0,
  });
  readonly #listener = createServer();

  constructor({ ids, files, peerOf, onFault }: GrpcServerOptions) {
    this.#files = files;
    this.#connections = new Connections(peerOf, onFault);
    this.#calls = { onFault, begin: (surface, streams) => this.#begin(surface, streams, ids.request()) };
    allowResets(this.#server);
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#listener.on("connection", (socket) => {
      if (this.#connections.admit(socket)) injector.injectConnection(socket);
    });
  }

  /** Serves the methods that `service` has; the others, and unknown services, answer UNIMPLEMENTED with the method's full name. */
  add<D extends ServiceDefinition>(definition: D, service: Service<D>): void {
    const handlers = service as Readonly<Record<string, unknown>>;
    for (const [key, method] of Object.entries(definition.methods)) {
      const handler = handlers[key];
      if (handler === undefined) continue;
      const path = `/${definition.fullName}/${method.name}`;
      const added = this.#server.register(
        path,
        this.#adapt(path, method, handler),
        (reply: Buffer) => reply,
        decoder(method),
        kindOf(method),
      );
      if (!added) throw new Error(`add ${path}: it is served already`);
    }
  }

  /** Listens on a unix socket. @throws see listenOn */
  async listen(path: string, options: SocketOptions = {}): Promise<void> {
    await listenOn(this.#listener, path, options, this.#files);
  }

  /**
   * Stops: takes no more connections or calls, aborts the signals of those under way (Unavailable), gives them `graceMs` to end, and
   * then closes every connection.
   */
  async close({ graceMs }: { readonly graceMs: number }): Promise<void> {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    // Called back once every connection is closed; with an error when it never listened.
    this.#listener.close(() => resolve());
    // Each connection closes when its last call has ended. Its own callback comes too early: grpc-js takes a session that is about to
    // close for a closed one.
    this.#server.tryShutdown(() => {});
    for (const call of this.#listening)
      call.abort(new ShiplogError("Unavailable", "the daemon is stopping: unavailable"));
    const timer = setTimeout(() => {
      this.#server.forceShutdown();
      this.#connections.destroyAll();
    }, graceMs);
    await closed;
    clearTimeout(timer);
    this.#server.forceShutdown();
  }

  #begin(surface: Surface, streams: boolean, request: string): GrpcCall | undefined {
    const principal = this.#connections.principal(surface.getPeer());
    if (principal === undefined) return undefined;
    return new GrpcCall({ surface, streams, principal, request, listening: this.#listening });
  }

  #adapt(path: string, method: MethodDefinition, handler: unknown) {
    if (kindOf(method) === "unary")
      return unaryMethod(path, method, handler as Parameters<typeof unaryMethod>[2], this.#calls);
    const make = method.requestStream ? bidiMethod : serverStreamMethod;
    return make(path, method, handler as Parameters<typeof bidiMethod>[2], this.#calls);
  }
}

/** grpc-js has no option for these two of Node's, so they are added to what it gives to Node's server. */
function allowResets(server: Server): void {
  const { commonServerOptions } = server as unknown as { readonly commonServerOptions?: Http2ServerOptions };
  if (commonServerOptions === undefined)
    throw new Error("serve gRPC: this version of grpc-js keeps its options elsewhere");
  Object.assign(commonServerOptions, { streamResetBurst: RESETS_MAX, streamResetRate: RESETS_MAX });
}

/** grpc-js's word for a kind of method. The API has no method that takes a stream and answers once. */
function kindOf({ name, requestStream, responseStream }: MethodDefinition): "unary" | "serverStream" | "bidi" {
  if (!requestStream) return responseStream ? "serverStream" : "unary";
  if (responseStream) return "bidi";
  throw new Error(`serve ${name}: a stream of requests with a single reply is not supported`);
}

/** Throws on what is no message of this type; grpc-js then answers INTERNAL, as Go's server does. */
function decoder({ requestType }: MethodDefinition): (bytes: Buffer) => unknown {
  return (bytes) => requestType.decode(bytes);
}
