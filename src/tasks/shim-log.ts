/**
 * The `log` FIFO of a bundle, through which a shim's own log lines come to the daemon's.
 *
 * Owns this end of it, open for reading and writing: so there is always a reader, and a shim never blocks or gets EPIPE on a
 * log line, and never sees the end when the daemon opens it anew. It must be open before the shim starts, which waits for a
 * reader before it serves anything, and again after the daemon restarts (containerd: runtime/v2/shim_unix.go).
 */
import { closeSync, constants, openSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import type { Logger } from "pino";
import { errorCode, makeNodeAt, type OperationHook, proceed } from "../platform/mod.ts";

/** Characters of a line that are passed on at most; the rest of a longer one is left out. */
const lineLengthMax = 16_384;

/** AT_FDCWD: with an absolute path it stands for no directory. */
const noDirectory = -100;

export class ShimLog {
  readonly #socket: Socket;
  readonly #logger: Logger;
  #line = "";

  /** Makes the FIFO where it is missing, and opens it. @throws Error of the file system */
  constructor(bundle: string, logger: Logger, hook: OperationHook = proceed) {
    const path = join(bundle, "log");
    try {
      makeNodeAt(noDirectory, path, constants.S_IFIFO | 0o700, [0, 0], hook);
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw error;
    }
    const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    this.#logger = logger;
    try {
      this.#socket = new Socket({ fd, readable: true, writable: false });
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    this.#socket.setEncoding("utf8");
    this.#socket.on("data", (text: string) => this.#take(text));
    this.#socket.on("error", (error) => logger.debug({ err: error }, "read shim log"));
    this.#socket.unref();
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    const lines = (this.#line + text).split("\n");
    this.#line = lines.pop()!.slice(0, lineLengthMax);
    for (const line of lines) if (line !== "") this.#logger.debug({ shim: line.slice(0, lineLengthMax) }, "shim log");
  }
}

/** The bundle's log, or undefined where it cannot be opened: that is no reason to give up a task. */
export function openShimLog(bundle: string, logger: Logger): ShimLog | undefined {
  try {
    return new ShimLog(bundle, logger);
  } catch (error) {
    logger.debug({ err: error }, "open shim log");
    return undefined;
  }
}
