/**
 * One segment file while the log is open: how much of it is durable, and where positions are in it. Owns the handle that the writer
 * holds on the last segment, and a sparse index in memory (16 bytes for each 64 KiB). Reads only what is durable.
 */
import type { FileHandle, Files } from "../platform/files.ts";
import { LogCorruption } from "./errors.ts";
import type { Position } from "./fact.ts";
import type { Frame } from "./frame.ts";
import { chunkBytes, FrameScanner } from "./scanner.ts";
import { segmentHeaderBytes } from "./segment-header.ts";

/** How many bytes of frames lie between two entries of a segment's index, so an entry more or less per read of a chunk. */
const indexStepBytes = chunkBytes / 4;

/** A segment file, from its first position to what is durable. */
export class Segment {
  readonly path: string;
  readonly first: Position;
  /** The position after the last durable one. */
  next: Position;
  /** The offset after the last durable frame. */
  end: number;
  /** The writer's handle; undefined in a segment that is no longer written. */
  handle: FileHandle | undefined;

  readonly #files: Files;
  readonly #seed: number;
  readonly #positions: Position[] = [];
  readonly #offsets: number[] = [];
  /** Everything before this offset is in the index. */
  #indexed = segmentHeaderBytes;
  #indexing: Promise<void> | undefined;
  /** Reads under way on the writer's handle. */
  #shared = 0;
  #unshared: (() => void) | undefined;

  constructor(files: Files, seed: number, path: string, first: Position, next: Position, end: number) {
    this.#files = files;
    this.#seed = seed;
    this.path = path;
    this.first = first;
    this.next = next;
    this.end = end;
  }

  /** Puts a frame into the index. Frames come in order; one that is in it already is passed over. */
  note(offset: number, first: Position, end: number): void {
    if (offset !== this.#indexed) return;
    this.#indexed = end;
    const last = this.#offsets.at(-1) ?? segmentHeaderBytes;
    if (offset - last < indexStepBytes) return;
    this.#positions.push(first);
    this.#offsets.push(offset);
  }

  /** A frame at or before `position`, near it. The first call for a segment that was sealed before the log was opened reads it through. */
  async seek(position: Position): Promise<{ offset: number; position: Position }> {
    if (position === this.first) return { offset: segmentHeaderBytes, position };
    if (this.#indexed < this.end) {
      this.#indexing ??= this.#index().finally(() => {
        this.#indexing = undefined;
      });
      await this.#indexing;
    }
    let low = 0;
    let high = this.#positions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#positions[middle]! <= position) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return { offset: segmentHeaderBytes, position: this.first };
    return { offset: this.#offsets[low - 1]!, position: this.#positions[low - 1]! };
  }

  /** The next durable frames up to `to` from a frame's place on, about a chunk of them; at least one. Errors: LogCorruption. */
  async read(
    offset: number,
    position: Position,
    to: Position,
  ): Promise<{ frames: Frame[]; offset: number; position: Position }> {
    const scanner = new FrameScanner(this.#files, this.#seed, offset, position);
    const frames = await this.#withHandle((handle) => scanner.next(handle, this.end, to));
    if (frames.length === 0) throw this.#corruption(scanner);
    return { frames, offset: scanner.offset, position: scanner.position };
  }

  async #index(): Promise<void> {
    const scanner = new FrameScanner(this.#files, this.#seed, segmentHeaderBytes, this.first);
    await this.#withHandle(async (handle) => {
      while (scanner.offset < this.end) {
        const frames = await scanner.next(handle, this.end);
        if (frames.length === 0) throw this.#corruption(scanner);
        for (const [index, frame] of frames.entries()) {
          this.note(frame.offset, frame.first, frames[index + 1]?.offset ?? scanner.offset);
        }
      }
    });
  }

  /** Gives up the writer's handle, and closes it when the last reader that uses it is done. */
  async retire(): Promise<void> {
    const handle = this.handle;
    if (handle === undefined) return;
    this.handle = undefined;
    if (this.#shared > 0) await new Promise<void>((resolve) => (this.#unshared = resolve));
    await handle.close();
  }

  /** A sealed segment is opened for each read: a reader that stalls holds no descriptor. */
  async #withHandle<T>(use: (handle: FileHandle) => Promise<T>): Promise<T> {
    const shared = this.handle;
    if (shared !== undefined) {
      this.#shared++;
      try {
        return await use(shared);
      } finally {
        if (--this.#shared === 0) this.#unshared?.();
      }
    }
    const handle = await this.#files.open("log.read.open", this.path, "r");
    try {
      return await use(handle);
    } finally {
      await handle.close();
    }
  }

  #corruption(scanner: FrameScanner): LogCorruption {
    const stop = scanner.stop;
    const finding = stop !== undefined && "finding" in stop ? stop.finding : "a frame is missing";
    return new LogCorruption(this.path, scanner.offset, scanner.position, finding);
  }
}
