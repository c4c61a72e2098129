/**
 * The one writer of a log. Owns the queue of appends that are not durable yet, the last segment and the two positions between which
 * the queue lies. One frame is written and synced at a time, so after a crash at most the last frame of the last segment is unfinished.
 * It must never write or sync again after either has failed: the kernel may have dropped the pages, and a second sync would say that all
 * is well.
 */
import type { Files } from "../platform/files.ts";
import { AppendTooLarge, LogClosed, LogFailed } from "./errors.ts";
import type { Position } from "./fact.ts";
import {
  framedBytes,
  frameHeaderBytes,
  framePayloadBytesMax,
  payloadCrc,
  writeFrameHeader,
  writeRecord,
} from "./frame.ts";
import { seal } from "./recovery.ts";
import type { Reserve } from "./reserve.ts";
import type { Segment } from "./segment.ts";

/**
 * A frame takes no further append beyond this, although it could hold more: reading one fact means reading its frame, and a sync costs
 * little beside writing this much.
 */
const framePayloadBytesTarget = 128 * 1024;

export interface GroupCommitOptions {
  readonly files: Files;
  /** In order; the last is open for writing. New ones are added to it. */
  readonly segments: Segment[];
  readonly reserve: Reserve;
  readonly seed: number;
  /** A segment is left for the next one when a frame would make it longer; a frame longer than that has a segment to itself. */
  readonly segmentBytes: number;
  /** Above this many bytes waiting, `pressure` asks callers to hold back. */
  readonly queueBytesMax: number;
  readonly onFatal: (error: LogFailed) => void;
}

interface Append {
  readonly first: Position;
  readonly records: readonly Uint8Array[];
  /** In a payload, with the length prefixes. */
  readonly bytes: number;
}

interface Waiter {
  readonly next: Position;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class GroupCommit {
  /** The position that the next fact will get. */
  next: Position;
  /** Every position before this one is durable. */
  durableNext: Position;

  readonly #options: GroupCommitOptions;
  readonly #frame = Buffer.allocUnsafeSlow(frameHeaderBytes + framePayloadBytesMax);
  readonly #listeners: ((durableNext: Position) => void)[] = [];
  #queue: Append[] = [];
  #queuedBytes = 0;
  readonly #waiters = new Set<Waiter>();
  #relief: PromiseWithResolvers<void> | undefined;
  #running: Promise<void> | undefined;
  #stopped: LogFailed | LogClosed | undefined;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
    this.next = options.segments.at(-1)!.next;
    this.durableNext = this.next;
  }

  /** Queues one append and gives out its positions; the first of them. Errors: AppendTooLarge, LogFailed, LogClosed. */
  append(records: readonly Uint8Array[]): Position {
    if (this.#stopped !== undefined) throw this.#stopped;
    const bytes = records.reduce((sum, record) => sum + framedBytes(record), 0);
    if (bytes > framePayloadBytesMax) throw new AppendTooLarge(bytes, framePayloadBytesMax);
    const first = this.next;
    if (records.length === 0) return first;
    this.next += records.length;
    this.#queue.push({ first, records, bytes });
    this.#queuedBytes += bytes;
    // Begun in a microtask, so that what is appended in the same turn is one frame.
    this.#running ??= Promise.resolve().then(() => this.#run());
    return first;
  }

  /** Resolves when every position before `next` is durable, or the signal is aborted. Errors: LogFailed, LogClosed. */
  async durable(next: Position, signal?: AbortSignal): Promise<void> {
    if (next <= this.durableNext || signal?.aborted === true) return;
    // What is queued when the log is closed still becomes durable.
    if (this.#stopped !== undefined && (this.#running === undefined || next > this.next)) throw this.#stopped;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { next, resolve, reject };
    this.#waiters.add(waiter);
    const abort = (): void => {
      this.#waiters.delete(waiter);
      resolve();
    };
    signal?.addEventListener("abort", abort);
    try {
      await promise;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Calls `listener` after every sync, before whoever waits for it, in the order of the positions. It must not throw. */
  onDurable(listener: (durableNext: Position) => void): void {
    this.#listeners.push(listener);
  }

  /** Undefined, or what to wait for before deciding anything more: the queue is over its bound. */
  pressure(): Promise<void> | undefined {
    if (this.#queuedBytes <= this.#options.queueBytesMax || this.#stopped !== undefined) return undefined;
    this.#relief ??= Promise.withResolvers();
    return this.#relief.promise;
  }

  /** Writes what is queued and takes no more. The segments stay open. */
  async close(): Promise<void> {
    const closed = new LogClosed();
    this.#stopped ??= closed;
    await this.#running;
    this.#reject(closed);
  }

  async #run(): Promise<void> {
    try {
      while (this.#queue.length > 0) await this.#commit();
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#running = undefined;
    }
  }

  async #commit(): Promise<void> {
    const { files, segments } = this.#options;
    const { first, count, bytes } = this.#takeFrame();
    let segment = segments.at(-1)!;
    if (segment.next > segment.first && segment.end + bytes.length > this.#options.segmentBytes)
      segment = await this.#roll(segment);
    const offset = segment.end;
    await files.write("log.write", segment.handle!, bytes, offset);
    await files.fdatasync("log.fdatasync", segment.handle!);
    segment.note(offset, first, offset + bytes.length);
    segment.end = offset + bytes.length;
    segment.next = first + count;
    this.durableNext = segment.next;
    this.#announce();
  }

  /** As many whole appends from the queue as one frame holds. */
  #takeFrame(): { first: Position; count: number; bytes: Buffer } {
    const frame = this.#frame;
    const first = this.#queue[0]!.first;
    let count = 0;
    let taken = 0;
    let end = frameHeaderBytes;
    for (const { records, bytes } of this.#queue) {
      if (taken > 0 && end + bytes > framePayloadBytesTarget) break;
      for (const record of records) end = writeRecord(frame, end, record);
      count += records.length;
      taken++;
    }
    this.#queue = this.#queue.slice(taken);
    const payload = frame.subarray(frameHeaderBytes, end);
    this.#queuedBytes -= payload.length;
    writeFrameHeader(
      frame,
      { payloadBytes: payload.length, first, count, payloadCrc: payloadCrc(payload) },
      this.#options.seed,
    );
    return { first, count, bytes: frame.subarray(0, end) };
  }

  /** Goes on to the next segment. Its name is durable before the old one is sealed, and the seal before anything is written to it. */
  async #roll(full: Segment): Promise<Segment> {
    const { files, segments, reserve, seed } = this.#options;
    const segment = await reserve.take(full.next);
    segments.push(segment);
    await seal(files, full, seed);
    await full.retire();
    reserve.prepare();
    return segment;
  }

  #announce(): void {
    for (const listener of this.#listeners) listener(this.durableNext);
    for (const waiter of this.#waiters) {
      if (waiter.next > this.durableNext) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
    if (this.#queuedBytes <= this.#options.queueBytesMax) {
      this.#relief?.resolve();
      this.#relief = undefined;
    }
  }

  #fail(cause: unknown): void {
    const failed = new LogFailed(cause);
    this.#stopped = failed;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#reject(failed);
    this.#options.onFatal(failed);
  }

  #reject(error: Error): void {
    for (const { reject } of this.#waiters) reject(error);
    this.#waiters.clear();
    this.#relief?.resolve();
  }
}
