/**
 * From formatted records to the file. Writing is asynchronous, so that a disk that hangs holds up the containers that log to it and nothing
 * else in the process, and one block at a time, so that memory is bounded. It must never reorder records, and never lose one without a count.
 */
import { errorCode } from "../../platform/mod.ts";
import { diskTurns } from "./disk-turns.ts";
import type { AppendResult, LogFile } from "./log-file.ts";
import { closedUnwritten, type LossReport } from "./loss-report.ts";
import { type Block, countRecords, RecordQueue, recycle } from "./record-queue.ts";

/** Bytes of records that may wait before the process has to; a chunk more is taken. Below a block's size, so that one block is enough. */
const waitingBytesMax = 384 * 1024;
/** Milliseconds between two attempts to write what could not be written. */
const retryIntervalMs = 250;
/** Milliseconds that closing waits for records that cannot be written. */
const closeWriteMsMax = 5000;
/** Milliseconds that closing waits for compression. Together with the other less than the 10 s that a shim gives a container's output. */
const closeCompressionMsMax = 3000;

export interface LogWriterOptions {
  /** Bytes that may wait before new records are dropped; undefined: none is. */
  readonly dropBeyondBytes: number | undefined;
  readonly onFull: "block" | "drop";
}

export class LogWriter {
  readonly #file: LogFile;
  readonly #options: LogWriterOptions;
  readonly #loss: LossReport;
  readonly #queue = new RecordQueue();
  readonly #onWritable: () => void;
  /** The block being written, or kept until it can be. */
  #block: Block | undefined;
  #running: Promise<void> | undefined;
  readonly #reopening: { resolve(): void; reject(error: unknown): void }[] = [];
  #refused = false;
  #closing = false;
  #givenUp = false;
  #wake: (() => void) | undefined;

  constructor(file: LogFile, options: LogWriterOptions, loss: LossReport, onWritable: () => void) {
    this.#file = file;
    this.#options = options;
    this.#loss = loss;
    this.#onWritable = onWritable;
  }

  /** Takes whole records; the buffer is the caller's again on return. */
  append(records: Buffer): void {
    const taken = this.#queue.append(records, this.#options.dropBeyondBytes ?? Number.POSITIVE_INFINITY);
    if (taken < records.length) this.#lose("the buffer is full", records.subarray(taken));
    this.#run();
  }

  /** False: nothing more should come until onWritable was called. */
  writable(): boolean {
    const writable = this.#options.dropBeyondBytes !== undefined || this.#queue.bytes < waitingBytesMax;
    if (!writable) this.#refused = true;
    return writable;
  }

  /** Between two blocks: what was written before is in the old file, everything else goes to the new one. */
  reopen(): Promise<void> {
    if (this.#closing) return Promise.reject(new Error("the log is closed"));
    return new Promise((resolve, reject) => {
      this.#reopening.push({ resolve, reject });
      this.#wake?.();
      this.#run();
    });
  }

  /** Resolves when everything is in the file, or given up and counted. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#wake?.();
    this.#run();
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, closeWriteMsMax);
    });
    await Promise.race([this.#running, deadline]);
    clearTimeout(timer);
    const running = this.#running;
    if (running === undefined) return this.#file.close(closeCompressionMsMax);
    this.#giveUp();
    // A write that hangs cannot be called off, and its descriptor not closed under it.
    running.then(() => this.#file.close(0));
  }

  #run(): void {
    this.#running ??= this.#work();
  }

  async #work(): Promise<void> {
    // Not within the caller's call: it may be handing over more, and a listener of onWritable must not come back in the middle of that.
    await undefined;
    try {
      for (;;) {
        if (this.#reopening.length > 0) await this.#reopenFile();
        if (this.#givenUp) return;
        this.#block ??= this.#takeBlock();
        if (this.#block !== undefined) await this.#writeBlock(this.#block);
        else if (this.#reopening.length === 0) return;
      }
    } finally {
      // In the same step as the last look at the queue, or a record that comes now would wait for the next one.
      this.#running = undefined;
    }
  }

  async #writeBlock(block: Block): Promise<void> {
    const { written, error } = await diskTurns.take(this.#file.device, () => this.#append(block));
    // Everything that was left has been counted, and the block is nobody's.
    if (this.#givenUp) return;
    block.start += written;
    if (error !== undefined && this.#options.onFull === "block") {
      if (this.#reopening.length === 0) await this.#pause();
      return;
    }
    if (error !== undefined) this.#lose(`the file cannot be written: ${errorCode(error) ?? error}`, unwritten(block));
    this.#block = undefined;
    recycle(block);
  }

  async #append(block: Block): Promise<AppendResult> {
    if (this.#givenUp) return { written: 0, error: undefined };
    return this.#file.append(unwritten(block));
  }

  #takeBlock(): Block | undefined {
    const block = this.#queue.take();
    if (block !== undefined && this.#refused && this.#queue.bytes < waitingBytesMax) {
      this.#refused = false;
      this.#onWritable();
    }
    return block;
  }

  #lose(reason: string, records: Buffer): void {
    this.#loss.add(reason, records.length, countRecords(records));
  }

  /** The kernel may still be reading the block that hangs, so its memory is not used again. */
  #giveUp(): void {
    this.#givenUp = true;
    this.#wake?.();
    for (let block = this.#block ?? this.#queue.take(); block !== undefined; block = this.#queue.take()) {
      this.#lose(closedUnwritten, unwritten(block));
    }
    this.#block = undefined;
    for (const { reject } of this.#reopening.splice(0)) reject(new Error("the log is closed"));
  }

  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, retryIntervalMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }

  async #reopenFile(): Promise<void> {
    const asked = this.#reopening.splice(0);
    try {
      await diskTurns.take(this.#file.device, () => this.#file.reopen());
      for (const { resolve } of asked) resolve();
    } catch (error) {
      for (const { reject } of asked) reject(error);
    }
  }
}

function unwritten(block: Block): Buffer {
  return block.buffer.subarray(block.start, block.end);
}
