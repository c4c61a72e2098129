/**
 * The socket at which the OCI runtime hands over the master of a terminal (`--console-socket`). Owns the socket's file, in the bundle, and
 * waits a bounded time.
 */
import { rmSync } from "node:fs";
import { closeDescriptor, findPath, listenForDescriptor, setBlocking } from "../../platform/mod.ts";
import { ioDirectory } from "./process-fifo.ts";

/** The runtime sends before it returns; what is not there then is on its way through the kernel. */
const masterMsMax = 10_000;

let sockets = 0;

export class Console {
  readonly #directory: number;
  readonly #socket: ReturnType<typeof listenForDescriptor>;
  readonly path: string;
  #isClosed = false;

  /** @throws errors of the calls */
  constructor(bundle: string) {
    // A socket's path has at most 107 bytes, and a bundle's may have more: its directory is named by a descriptor of this process.
    this.#directory = findPath(ioDirectory(bundle));
    this.path = `/proc/${process.pid}/fd/${this.#directory}/console-${process.pid}-${sockets++}`;
    try {
      this.#socket = listenForDescriptor(this.path);
    } catch (thrown) {
      closeDescriptor(this.#directory);
      throw thrown;
    }
  }

  /** The master, which does not block, once the runtime has returned. @throws Error in containerd's words */
  async master(): Promise<number> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`none came within ${masterMsMax} ms`)), masterMsMax);
    });
    try {
      const master = await Promise.race([this.#socket.received, late]);
      setBlocking(master, false);
      return master;
    } catch (cause) {
      throw new Error(`failed to retrieve console master: ${(cause as Error).message}`, { cause });
    } finally {
      clearTimeout(timer);
      this.close();
    }
  }

  /** Calling it again does nothing. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.close();
    rmSync(this.path, { force: true });
    closeDescriptor(this.#directory);
  }
}
