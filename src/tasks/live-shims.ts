/**
 * The shims that the daemon is connected to, one entry per task; tasks of one group share a shim process but not a connection.
 *
 * Owns which connection belongs to which task, and tells when one ends that nobody gave up. It never ends a shim.
 */
import type { TaskKey } from "./bundle.ts";
import type { ShimConnection } from "./shim-connection.ts";
import type { ShimLog } from "./shim-log.ts";

export interface LiveShim {
  readonly key: TaskKey;
  readonly connection: ShimConnection;
  readonly log: ShimLog | undefined;
  /** 0 while the shim has not answered yet. */
  shimPid: number;
}

export class LiveShims {
  readonly #shims = new Map<string, LiveShim>();
  readonly #claims = new Map<string, string>();
  readonly #onLost: (shim: LiveShim) => void;

  /** `onLost` runs when the connection of an entry ends while it is an entry. */
  constructor(onLost: (shim: LiveShim) => void) {
    this.#onLost = onLost;
  }

  add(key: TaskKey, connection: ShimConnection, log: ShimLog | undefined, shimPid: number): LiveShim {
    const shim: LiveShim = { key, connection, log, shimPid };
    this.#shims.set(nameOf(key), shim);
    void connection.closed.then(() => {
      if (this.get(key) === shim) this.#onLost(shim);
    });
    return shim;
  }

  get(key: TaskKey): LiveShim | undefined {
    return this.#shims.get(nameOf(key));
  }

  /** Gives the entry up: the end of its connection is no loss any more. The connection stays open. */
  remove(shim: LiveShim): void {
    if (this.get(shim.key) === shim) this.#shims.delete(nameOf(shim.key));
    shim.log?.close();
  }

  /** States that the task is being created in the shim at this address, until `unclaim`. */
  claim(key: TaskKey, address: string): void {
    this.#claims.set(nameOf(key), address);
  }

  unclaim(key: TaskKey): void {
    this.#claims.delete(nameOf(key));
  }

  /** True when another task is served by, or being created in, the shim at this address. */
  isShared(key: TaskKey, address: string): boolean {
    for (const [name, claimed] of this.#claims) if (claimed === address && name !== nameOf(key)) return true;
    for (const shim of this.#shims.values()) {
      if (shim.connection.endpoint.address === address && nameOf(shim.key) !== nameOf(key)) return true;
    }
    return false;
  }

  /** Gives every entry up. */
  clear(): void {
    for (const { log } of this.#shims.values()) log?.close();
    this.#shims.clear();
  }
}

const nameOf = ({ namespace, id }: TaskKey): string => `${namespace}/${id}`;
