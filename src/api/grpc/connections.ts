/**
 * Open connections and who is at their other end. grpc-js tells a handler nothing of a connection but the address of its peer, and a
 * unix socket's peer has none: so each connection is given a name in that place, under which its principal is found again.
 */
import type { Socket } from "node:net";
import type { Principal } from "../../events/fact.ts";
import type { OnFault } from "./method.ts";

/** Connections open at a time. */
export const CONNECTIONS_MAX = 4096;

export class Connections {
  readonly #peerOf: (socket: Socket) => Principal;
  readonly #onFault: OnFault;
  readonly #open = new Map<string, { readonly socket: Socket; readonly principal: Principal }>();
  #accepted = 0;

  constructor(peerOf: (socket: Socket) => Principal, onFault: OnFault) {
    this.#peerOf = peerOf;
    this.#onFault = onFault;
  }

  /** Takes in an accepted socket; false when it is gone already or there are too many: it is destroyed then. */
  admit(socket: Socket): boolean {
    let principal: Principal;
    try {
      if (this.#open.size >= CONNECTIONS_MAX)
        throw new Error(`accept a connection: ${CONNECTIONS_MAX} are open already`);
      const { uid, gid, pid } = this.#peerOf(socket);
      principal = { uid, gid, pid };
    } catch (error) {
      socket.destroy();
      this.#onFault({ error, during: "accept", request: "" });
      return false;
    }
    const name = `connection-${++this.#accepted}`;
    Object.defineProperty(socket, "remoteAddress", { value: name });
    this.#open.set(name, { socket, principal });
    socket.once("close", () => this.#open.delete(name));
    return true;
  }

  /** Who is at the other end of the connection, by grpc-js's name for its peer; undefined once it is closed. */
  principal(peer: string): Principal | undefined {
    return this.#open.get(peer)?.principal;
  }

  destroyAll(): void {
    for (const { socket } of this.#open.values()) socket.destroy();
  }
}
