/**
 * The sending side of a stream: replies go out as fast as the client takes them, and no faster. Owns the bound on what waits.
 */
import type { Duplex, Writable } from "./call.ts";

/** Bytes that may wait for a slow client before its handler is asked for no more; one message may go beyond. */
const PENDING_BYTES_MAX = 2 * 1024 * 1024;

export class Outlet {
  readonly #stream: Writable | Duplex;
  #pendingBytes = 0;
  #wake: (() => void) | undefined;

  constructor(stream: Writable | Duplex) {
    this.#stream = stream;
    stream.once("close", () => this.#wake?.());
  }

  /** Sends a message; resolves once there is room for the next, or nobody to send it to. */
  send(message: Buffer): Promise<void> | undefined {
    this.#pendingBytes += message.length;
    const room = this.#stream.write(message, () => {
      this.#pendingBytes -= message.length;
      if (this.#pendingBytes < PENDING_BYTES_MAX) this.#wake?.();
    });
    if ((room && this.#pendingBytes < PENDING_BYTES_MAX) || this.#stream.destroyed) return undefined;
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
