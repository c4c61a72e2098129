/**
 * A ttrpc server: services over one or more unix sockets.
 *
 * Owns the listening sockets, the table of methods and the rule of who may connect. It makes and removes no directory,
 * removes no stale socket and changes no mode: whoever chose the path does that.
 */
import * as net from "node:net";
import type { RequestOf, ResponseOf, ServiceDefinition } from "../../wire/definition.ts";
import { socketPathToListenAt } from "./address.ts";
import { type CallContext, type Dispatch, type Peer, TtrpcConnection, type ServedMethod } from "./connection.ts";
import { type CallStatus, StatusCode, TtrpcError } from "./error.ts";

/** Connections at once; one more is closed as it comes. Each shim holds one to the daemon. */
export const connectionsMax = 16_384;

/** How long close() lets replies that are on their way go out before it drops a connection. */
const closeGraceMs = 1_000;

/** What a method's handler is given: one message, or what the client sends as it comes. */
type Incoming<M> = M extends { readonly requestStream: true } ? AsyncIterable<RequestOf<M>> : RequestOf<M>;

/** What it gives: one message, or an iterable that is asked for the next message as the client takes them. */
type Outgoing<M> = M extends { readonly responseStream: true } ? AsyncIterable<ResponseOf<M>> : Promise<ResponseOf<M>>;

/** Handlers by method key, as `closeIO`; a method that has none is answered with Unimplemented. */
export type TtrpcHandlers<D extends ServiceDefinition> = {
  readonly [K in keyof D["methods"]]?: (
    request: Incoming<D["methods"][K]>,
    context: CallContext,
  ) => Outgoing<D["methods"][K]>;
};

export interface TtrpcServerOptions {
  /** Asks the kernel who is at the other end of an accepted socket; throws when it cannot tell. */
  readonly peerOf?: ((socket: net.Socket) => Peer) | undefined;
  /** Closes connections of other users at once. Needs `peerOf`. containerd's ttrpc sockets do so. */
  readonly sameUserOnly?: boolean | undefined;
  /** What a handler's error comes to on the wire. By default a TtrpcError is its own status and all else is Unknown. */
  readonly statusOf?: ((error: unknown) => CallStatus) | undefined;
}

export class TtrpcServer {
  readonly #services = new Map<string, Map<string, ServedMethod>>();
  readonly #listeners = new Set<net.Server>();
  readonly #sockets = new Set<net.Socket>();
  readonly #options: TtrpcServerOptions;
  readonly #dispatch: Dispatch;

  constructor(options: TtrpcServerOptions = {}) {
    if (options.sameUserOnly && options.peerOf === undefined) throw new TypeError("sameUserOnly needs peerOf");
    this.#options = options;
    this.#dispatch = {
      find: (service, method) => this.#find(service, method),
      statusOf: (error) => (error instanceof TtrpcError ? error : (options.statusOf ?? unknownStatusOf)(error)),
    };
  }

  /** Serves the definition's methods by the handlers given. A service is registered once. */
  register<D extends ServiceDefinition>(definition: D, handlers: TtrpcHandlers<D>): void {
    if (this.#services.has(definition.fullName)) throw new TypeError(`${definition.fullName} is registered already`);
    const methods = new Map<string, ServedMethod>();
    for (const [key, method] of Object.entries(definition.methods)) {
      const handler = handlers[key as keyof D["methods"]] as ServedMethod["handler"] | undefined;
      if (handler !== undefined) methods.set(method.name, { ...method, handler });
    }
    this.#services.set(definition.fullName, methods);
  }

  /** Listens at a path (see socketPathToListenAt); resolves when a client can connect, rejects with the system's error. */
  async listen(path: string): Promise<void> {
    const listener = net.createServer((socket) => this.#accept(socket));
    listener.maxConnections = connectionsMax;
    await new Promise<void>((resolve, reject) => {
      listener.once("error", reject);
      listener.listen({ path: socketPathToListenAt(path) }, () => {
        listener.off("error", reject);
        resolve();
      });
    });
    // An accept that fails (no file descriptor left) concerns that one client; the others go on.
    listener.on("error", () => {});
    this.#listeners.add(listener);
  }

  /** Serves one socket that is connected already, as if its peer had come to where the server listens. */
  serve(socket: net.Socket): void {
    this.#accept(socket);
  }

  /**
   * Stops listening, removes the socket files, ends every connection and aborts what runs on it. Replies already given go
   * out first, for up to a second. Resolves when all is closed.
   */
  async close(): Promise<void> {
    const stopped = [...this.#listeners].map((listener) => new Promise((resolve) => listener.close(resolve)));
    this.#listeners.clear();
    for (const socket of this.#sockets) socket.destroySoon();
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, closeGraceMs);
    await Promise.all(stopped);
    clearTimeout(timer);
  }

  #accept(socket: net.Socket): void {
    let peer: Peer | undefined;
    try {
      peer = this.#options.peerOf?.(socket);
    } catch {
      // The peer is gone already, or is nobody the kernel can name: not served.
      socket.destroy();
      return;
    }
    if (this.#options.sameUserOnly && peer?.uid !== process.geteuid?.()) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    new TtrpcConnection(socket, peer, this.#dispatch);
  }

  #find(service: string, method: string): ServedMethod | TtrpcError {
    const methods = this.#services.get(service);
    if (methods === undefined) return new TtrpcError(StatusCode.Unimplemented, `service ${service}`);
    return methods.get(method) ?? new TtrpcError(StatusCode.Unimplemented, `method ${method}`);
  }
}

function unknownStatusOf(error: unknown): CallStatus {
  return { code: StatusCode.Unknown, message: error instanceof Error ? error.message : String(error), details: [] };
}
