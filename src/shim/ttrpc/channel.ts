/**
 * Frames over one socket, for either side: what goes out, and whether more is read.
 *
 * Owns the socket's flow in both directions. Several parts may want reading to stop at once; it goes on when none does. What
 * frames mean is not its business.
 */
import type * as net from "node:net";
import { encodeFrame, type Frame, FrameReader } from "./frame.ts";
import type { ReadHolds } from "./inbox.ts";

/** Bytes of streams that the peer has not taken; a sender of stream messages waits above it. */
export const unsentStreamBytesMax = 1024 * 1024;

export class FrameChannel implements ReadHolds {
  readonly #socket: net.Socket;
  readonly #holds = new Set<object>();
  #waiting: (() => void)[] = [];

  constructor(socket: net.Socket, onFrame: (frame: Frame) => void) {
    this.#socket = socket;
    const reader = new FrameReader();
    socket.on("data", (chunk: Buffer) => {
      for (const frame of reader.push(chunk)) onFrame(frame);
    });
    // No frame can come any more; what is not sent yet need not be (containerd's servers leave likewise).
    socket.on("end", () => socket.destroy());
    const goOn = () => {
      this.delete(this);
      for (const resume of this.#waiting.splice(0)) resume();
    };
    socket.on("drain", goOn);
    socket.on("close", goOn);
  }

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  /** Nothing happens once the connection has ended. */
  send(streamId: number, type: number, message: Uint8Array, flags = 0): void {
    if (this.#socket.writable) this.#socket.write(encodeFrame(streamId, type, message, flags));
  }

  /** Reads no more until the peer has taken everything. */
  holdUntilSent(): void {
    this.add(this);
  }

  /** Resolves when there is room for a message of a stream, or the connection has ended. */
  room(): Promise<void> {
    if (!this.#socket.writable || this.#socket.writableLength <= unsentStreamBytesMax) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  add(hold: object): void {
    this.#holds.add(hold);
    this.#socket.pause();
  }

  delete(hold: object): void {
    if (this.#holds.delete(hold) && this.#holds.size === 0) this.#socket.resume();
  }
}
