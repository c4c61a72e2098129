/**
 * The bytes of one ingest while somebody writes them. Owns the open data file and the running hash over all of it. The file alone says
 * how far an ingest has come: nothing about progress is recorded elsewhere, so a writer that is killed at any byte is resumed by hashing
 * what is there. One call at a time.
 */
import { createHash, type Hash } from "node:crypto";
import type { Clock, FileHandle, Files } from "../platform/mod.ts";
import type { DigestAlgorithm } from "./digest.ts";

/** Bytes that are read, hashed or written between two turns of the event loop. */
export const pieceBytesMax = 1024 * 1024;

export class IngestWriter {
  readonly #files: Files;
  readonly #clock: Clock;
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #algorithm: DigestAlgorithm;
  #hash: Hash;
  #offset = 0;
  #updatedAt: bigint;
  #closed = false;

  private constructor(
    files: Files,
    clock: Clock,
    handle: FileHandle,
    path: string,
    algorithm: DigestAlgorithm,
    updatedAt: bigint,
  ) {
    this.#files = files;
    this.#clock = clock;
    this.#handle = handle;
    this.#path = path;
    this.#algorithm = algorithm;
    this.#hash = createHash(algorithm);
    this.#updatedAt = updatedAt;
  }

  /** Takes over an open data file and hashes what it holds. The handle is the writer's from here on, also when this throws. */
  static async over(
    files: Files,
    clock: Clock,
    handle: FileHandle,
    path: string,
    algorithm: DigestAlgorithm,
  ): Promise<IngestWriter> {
    try {
      const { mtimeMs } = await files.stat("content.ingest.stat", path);
      const writer = new IngestWriter(files, clock, handle, path, algorithm, unixNanoFromMs(mtimeMs));
      writer.#offset = await writer.#hashFile(writer.#hash);
      return writer;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Bytes on disk. */
  get offset(): number {
    return this.#offset;
  }

  /** Path of the data file. */
  get path(): string {
    return this.#path;
  }

  /** When the bytes last changed, unix nanoseconds. */
  get updatedAt(): bigint {
    return this.#updatedAt;
  }

  /** Digest of the bytes so far. */
  get digest(): string {
    return `${this.#algorithm}:${this.#hash.copy().digest("hex")}`;
  }

  async append(data: Uint8Array): Promise<void> {
    for (let start = 0; start < data.length; start += pieceBytesMax) {
      const piece = data.subarray(start, start + pieceBytesMax);
      const written = this.#files.write("content.ingest.write", this.#handle, piece, this.#offset);
      // While the kernel copies the piece. If the write fails, this writer has failed with it, and its hash is of no use.
      this.#hash.update(piece);
      await written;
      this.#offset += piece.length;
    }
    this.#updatedAt = this.#clock.now();
  }

  /** Starts from zero. */
  async truncate(): Promise<void> {
    await this.#files.truncate("content.ingest.truncate", this.#handle, 0);
    this.#hash = createHash(this.#algorithm);
    this.#offset = 0;
    this.#updatedAt = this.#clock.now();
  }

  /** The digest under an algorithm that may be another than the running one: then the file is read again. */
  async digestBy(algorithm: DigestAlgorithm): Promise<string> {
    if (algorithm === this.#algorithm) return this.digest;
    const hash = createHash(algorithm);
    await this.#hashFile(hash);
    return `${algorithm}:${hash.digest("hex")}`;
  }

  /** Resolves when every byte is on disk. */
  async sync(): Promise<void> {
    await this.#files.fdatasync("content.ingest.fdatasync", this.#handle);
  }

  /** The bytes stay for the next writer. May be called again. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#files.close("content.ingest.close", this.#handle);
  }

  /** Returns the number of bytes hashed. */
  async #hashFile(hash: Hash): Promise<number> {
    const buffer = Buffer.allocUnsafeSlow(pieceBytesMax);
    let offset = 0;
    for (;;) {
      const length = await this.#files.read("content.ingest.read", this.#handle, buffer, offset);
      hash.update(buffer.subarray(0, length));
      offset += length;
      if (length < buffer.length) return offset;
    }
  }
}

/** A file time from Node's milliseconds with a fraction, which are exact to about a microsecond. */
export function unixNanoFromMs(ms: number): bigint {
  return BigInt(Math.trunc(ms * 1000)) * 1000n;
}

/** When an ingest that started then changed last: files get their times from a coarser clock, which may lag behind the start's. */
export function lastChange(startedAt: bigint, changedAt: bigint): bigint {
  if (changedAt < startedAt) return startedAt;
  return changedAt;
}
