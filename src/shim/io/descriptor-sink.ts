/**
 * A sink that is a FIFO, a pipe or a terminal. Owns the descriptor. What is not taken at once is kept, one chunk at most, until the other
 * side has read: a reader that is gone or slow holds up its own process and nothing else.
 */
import { closeDescriptor, type DescriptorPoll, notNow, openPoll, PollEvent, writeNow } from "../../platform/mod.ts";
import type { Sink } from "./sink.ts";

export class DescriptorSink implements Sink {
  readonly #descriptor: number;
  readonly #poll: DescriptorPoll;
  readonly #onBroken: () => void;
  readonly #ended = Promise.withResolvers<void>();
  #kept: Buffer | undefined;
  #writable: () => void = () => {};
  #isEnding = false;
  #isBroken = false;
  #isClosed = false;

  /** The descriptor must not block. `onBroken` is called once when the other side will never read again; what comes later is dropped. */
  constructor(descriptor: number, onBroken: () => void = () => {}) {
    this.#descriptor = descriptor;
    this.#onBroken = onBroken;
    this.#poll = openPoll(descriptor, (_events, error) => {
      if (error === undefined) this.#writeKept();
      else this.#break();
    });
  }

  write(chunk: Buffer): boolean {
    if (this.#isBroken || this.#isClosed) return true;
    const written = this.#take(chunk);
    if (written === chunk.length || this.#isBroken) return true;
    // The chunk is the caller's again, so what is left of it is copied.
    this.#kept = Buffer.from(chunk.subarray(written));
    this.#poll.start(PollEvent.Writable);
    return false;
  }

  onWritable(listener: () => void): void {
    this.#writable = listener;
  }

  end(): Promise<void> {
    this.#isEnding = true;
    if (this.#kept === undefined) this.close();
    return this.#ended.promise;
  }

  async reopen(): Promise<void> {}

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#kept = undefined;
    this.#poll.close();
    closeDescriptor(this.#descriptor);
    this.#ended.resolve();
  }

  #take(bytes: Buffer): number {
    try {
      const written = writeNow(this.#descriptor, bytes);
      return written === notNow ? 0 : written;
    } catch {
      // EPIPE, and EIO of a terminal that was hung up: there is nobody to read, now or later.
      this.#break();
      return 0;
    }
  }

  #writeKept(): void {
    if (this.#kept === undefined) return;
    const left = this.#kept.subarray(this.#take(this.#kept));
    if (this.#isBroken) return;
    this.#kept = left.length === 0 ? undefined : left;
    if (this.#kept !== undefined) return;
    this.#poll.stop();
    if (this.#isEnding) this.close();
    else this.#writable();
  }

  #break(): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#kept = undefined;
    this.#poll.stop();
    this.#onBroken();
    if (this.#isEnding) this.close();
    else this.#writable();
  }
}
