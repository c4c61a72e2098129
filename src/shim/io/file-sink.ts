/**
 * A sink that appends to a file as it comes. Owns the descriptor. It holds two blocks at most, one with the disk and one that fills: that is
 * what is lost when the shim is killed. A disk that is full or ails holds the process up and is asked again; no byte is dropped as long as
 * both live, and what the disk has not taken when the sink is closed is counted. A disk that hangs holds up its own containers only.
 */
import { fstatSync } from "node:fs";
import { closeDescriptor, writeDescriptor } from "../../platform/mod.ts";
import { diskTurns } from "../log/disk-turns.ts";
import { closedUnwritten } from "../log/loss-report.ts";
import { countRecords } from "../log/record-queue.ts";
import { chunkBytesMax, type Sink } from "./sink.ts";
import type { StdioLoss } from "./stdio.ts";

/** Large enough that the turns of a thread cost little beside the writing. */
const blockBytes = 4 * chunkBytesMax;
/** Blocks that are kept for the next who need one; an idle sink has none. */
const spareBlocksMax = 4;
const retryMs = 250;
/** How long a disk that has not failed may take for what is held when the sink is closed. */
const closeMsMax = 5_000;

const spareBlocks: Buffer[] = [];

/** Bytes in a block, from `start` to `end`. */
interface Block {
  readonly memory: Buffer;
  start: number;
  end: number;
}

export class FileSink implements Sink {
  readonly #open: () => number;
  readonly #onLoss: (loss: StdioLoss) => void;
  readonly #ended = Promise.withResolvers<void>();
  #descriptor: number;
  #device: number;
  /** With the disk: what it has not taken yet. */
  #writing: Block | undefined;
  /** What comes next. A terminal gives small chunks, which go to the disk together. */
  #filling: Block | undefined;
  #isHolding = false;
  /** The call that is with the kernel, or was the last; never rejects. */
  #call: Promise<unknown> = Promise.resolve();
  #retry: NodeJS.Timeout | undefined;
  #writable: () => void = () => {};
  #isEnding = false;
  /** Runs while what is held at the closing may still go to the disk. */
  #closing: NodeJS.Timeout | undefined;
  #isClosed = false;
  #lost = { bytes: 0, lines: 0 };

  /** The descriptor appends and is the sink's from now on; `open` opens what the file's name means later. `onLoss` is called once at most. */
  constructor(descriptor: number, open: () => number, onLoss: (loss: StdioLoss) => void = () => {}) {
    this.#descriptor = descriptor;
    this.#device = fstatSync(descriptor).dev;
    this.#open = open;
    this.#onLoss = onLoss;
  }

  write(chunk: Buffer): boolean {
    if (this.#isClosed) return true;
    this.#filling ??= { memory: spareBlocks.pop() ?? Buffer.allocUnsafeSlow(blockBytes), start: 0, end: 0 };
    const block = this.#filling;
    const taken = chunk.copy(block.memory, block.end);
    block.end += taken;
    // Only what comes unasked, at the end of its time, finds no room.
    if (taken < chunk.length) this.#lose(chunk.subarray(taken));
    if (this.#writing === undefined) void this.#writeOn();
    this.#isHolding = this.#filling !== undefined && this.#filling.end > blockBytes - chunkBytesMax;
    return !this.#isHolding;
  }

  onWritable(listener: () => void): void {
    this.#writable = listener;
  }

  end(): Promise<void> {
    this.#isEnding = true;
    if (this.#writing === undefined) this.#finish();
    return this.#ended.promise;
  }

  async reopen(): Promise<void> {
    if (this.#isClosed) return;
    const opened = this.#open();
    const old = this.#descriptor;
    this.#descriptor = opened;
    this.#device = fstatSync(opened).dev;
    // What is under way was begun with the old one.
    await this.#call;
    closeDescriptor(old);
  }

  /** A disk that has failed is not asked again; one that is at work has a little time. */
  close(): void {
    if (this.#isClosed || this.#closing !== undefined) return;
    this.#isEnding = true;
    if (this.#writing === undefined || this.#retry !== undefined) this.#finish();
    else this.#closing = setTimeout(() => this.#finish(), closeMsMax);
  }

  #finish(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#closing);
    for (const block of [this.#writing, this.#filling])
      if (block !== undefined) this.#lose(block.memory.subarray(block.start, block.end));
    if (this.#lost.bytes > 0) this.#onLoss({ ...this.#lost, reason: closedUnwritten });
    const descriptor = this.#descriptor;
    void this.#call.then(() => closeDescriptor(descriptor));
    this.#ended.resolve();
  }

  #lose(bytes: Buffer): void {
    this.#lost.bytes += bytes.length;
    this.#lost.lines += countRecords(bytes);
  }

  /** Writes until nothing is held, or the disk takes nothing. */
  async #writeOn(): Promise<void> {
    for (;;) {
      this.#writing ??= this.#takeFilling();
      const block = this.#writing;
      if (block === undefined) break;
      const written = await diskTurns.take(this.#device, () => this.#writeOnce(block));
      if (this.#isClosed) return;
      if (written === undefined) {
        if (this.#closing === undefined) this.#retry = setTimeout(() => this.#tryAgain(), retryMs);
        else this.#finish();
        return;
      }
      block.start += written;
      if (block.start < block.end) continue;
      this.#writing = undefined;
      if (spareBlocks.length < spareBlocksMax) spareBlocks.push(block.memory);
    }
    if (this.#isEnding) this.#finish();
  }

  #tryAgain(): void {
    this.#retry = undefined;
    void this.#writeOn();
  }

  #takeFilling(): Block | undefined {
    const block = this.#filling;
    this.#filling = undefined;
    if (this.#isHolding) {
      this.#isHolding = false;
      // Not from within `write`, nor before this block is on its way.
      setImmediate(() => this.#writable());
    }
    return block;
  }

  /** The bytes taken, or undefined when there was an error: no space, mostly, and who makes some need not tell us. */
  async #writeOnce({ memory, start, end }: Block): Promise<number | undefined> {
    if (this.#isClosed) return undefined;
    const call = writeDescriptor(this.#descriptor, memory.subarray(start, end)).catch(() => undefined);
    this.#call = call;
    return call;
  }
}
