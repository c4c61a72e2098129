/**
 * Content on disk, in the places where containerd's own tools look for it:
 *
 *     <root>/io.containerd.content.v1.content/
 *       blobs/<algorithm>/<hex>          whole, on disk, mode 0444
 *       ingest/<sha256 of namespace/ref>/
 *         ref                            namespace/ref, for people
 *         data                           the bytes so far
 *
 * Owns these files and the two kinds of exclusion over them. It knows no namespace's links and decides nothing by itself: what the tables
 * do not know may be removed, so files are always made before they are recorded, and removed after the record of their end is durable.
 */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { basename, dirname, join } from "node:path";
import {
  changeModeAt,
  type Clock,
  errorCode,
  type Files,
  linkAt,
  makeDirectoryAt,
  type OperationHook,
  proceed,
  systemClock,
} from "../platform/mod.ts";
import { type DigestAlgorithm, digestAlgorithms, parseDigest } from "./digest.ts";
import { KeyedMutex } from "./keyed-mutex.ts";
import { IngestWriter, pieceBytesMax, unixNanoFromMs } from "./writer.ts";
import { WriterLocks } from "./writer-locks.ts";

/** Makes *at calls take a path as it is. */
const AT_FDCWD = -100;

export interface ContentStoreOptions {
  /** The daemon's root directory. */
  readonly root: string;
  readonly files: Files;
  readonly clock?: Clock;
  readonly hook?: OperationHook;
  /** How long a writer waits for the one before it to let go of a ref. */
  readonly lockWaitMsMax?: number;
}

/** About what containerd's own retries come to (content/local/store.go, Writer). */
const defaultLockWaitMsMax = 500;

/** How far an ingest has come. */
export interface IngestProgress {
  /** Bytes on disk. */
  readonly offset: number;
  /** Unix nanoseconds. */
  readonly updatedAt: bigint;
}

export class ContentStore {
  /** Holds `blobs` and `ingest`. */
  readonly directory: string;
  readonly #blobs: string;
  readonly #ingests: string;
  readonly #files: Files;
  readonly #clock: Clock;
  readonly #hook: OperationHook;
  readonly #lockWaitMsMax: number;
  readonly #writers: WriterLocks;
  readonly #ingestMutex = new KeyedMutex();
  readonly #digestMutex = new KeyedMutex();
  readonly #pins = new Map<string, number>();
  /** Ingests without bytes of their own. */
  readonly #shared = new Set<string>();

  constructor(options: ContentStoreOptions) {
    this.directory = join(options.root, "io.containerd.content.v1.content");
    this.#blobs = join(this.directory, "blobs");
    this.#ingests = join(this.directory, "ingest");
    this.#files = options.files;
    this.#clock = options.clock ?? systemClock;
    this.#hook = options.hook ?? proceed;
    this.#lockWaitMsMax = options.lockWaitMsMax ?? defaultLockWaitMsMax;
    this.#writers = new WriterLocks(this.#clock);
  }

  /** Makes the directories. To be awaited before anything else. */
  async open(): Promise<void> {
    await this.#files.makeDirectory("content.open.makeDirectory", this.#ingests);
    for (const algorithm of Object.keys(digestAlgorithms)) {
      await this.#files.makeDirectory("content.open.makeDirectory", join(this.#blobs, algorithm));
    }
  }

  /**
   * Becomes the only writer of a ref; the function that comes back gives that up.
   * @throws ShiplogError Unavailable when another writer stays
   */
  lockRef(namespace: string, ref: string, signal: AbortSignal): Promise<() => void> {
    return this.#writers.acquire(ingestKey(namespace, ref), ref, this.#lockWaitMsMax, signal);
  }

  /** Whether some writer has this ref now. */
  isBeingWritten(namespace: string, ref: string): boolean {
    return this.#writers.isHeld(ingestKey(namespace, ref));
  }

  /** Runs `task` while no other such task makes or removes this ingest's files. Not for long: an abort waits for it, a writer does not. */
  withIngest<T>(namespace: string, ref: string, task: () => Promise<T>): Promise<T> {
    return this.#ingestMutex.run(ingestKey(namespace, ref), task);
  }

  /** Opens an ingest's data, made when it is not there, cut to nothing when `fresh`. The caller holds the ref. */
  async openWriter(namespace: string, ref: string, algorithm: DigestAlgorithm, fresh: boolean): Promise<IngestWriter> {
    const directory = this.#ingestDirectory(namespace, ref);
    await this.#makeIngest(directory, namespace, ref);
    const path = join(directory, "data");
    const flags = constants.O_RDWR | constants.O_CREAT | (fresh ? constants.O_TRUNC : 0);
    const handle = await this.#files.open("content.ingest.open", path, flags);
    return IngestWriter.over(this.#files, this.#clock, handle, path, algorithm);
  }

  /** Says whether an ingest stands on bytes that another namespace uploaded: it has no progress then. */
  setShared(namespace: string, ref: string, shared: boolean): void {
    if (shared) this.#shared.add(ingestKey(namespace, ref));
    else this.#shared.delete(ingestKey(namespace, ref));
  }

  /** Undefined when there are no files, or none that its writer has put anything in because it shares another namespace's bytes. */
  async progress(namespace: string, ref: string): Promise<IngestProgress | undefined> {
    if (this.#shared.has(ingestKey(namespace, ref))) return undefined;
    const stats = await this.#stat("content.ingest.stat", join(this.#ingestDirectory(namespace, ref), "data"));
    return stats && { offset: stats.size, updatedAt: unixNanoFromMs(stats.mtimeMs) };
  }

  async removeIngest(namespace: string, ref: string): Promise<void> {
    this.#shared.delete(ingestKey(namespace, ref));
    await this.#files.rm("content.ingest.rm", this.#ingestDirectory(namespace, ref));
  }

  /** Runs `task` while nobody else places or removes this blob. Tasks of one digest must not nest. */
  withDigest<T>(digest: string, task: () => Promise<T>): Promise<T> {
    return this.#digestMutex.run(digest, task);
  }

  /**
   * Gives the writer's bytes, which `digest` must name, their place among the blobs; bytes and name are on disk when it resolves. The ingest
   * keeps its name for them too: until the commit is recorded, a crash must leave it as it was, with the blob as a file that no table knows.
   * Only within `withDigest`.
   */
  async place(writer: IngestWriter, digest: string): Promise<void> {
    const path = this.blobPath(digest);
    try {
      linkAt(AT_FDCWD, writer.path, AT_FDCWD, path, () => this.#hook("content.blob.link"));
      changeModeAt(AT_FDCWD, path, 0o444, () => this.#hook("content.blob.chmod"));
    } catch (error) {
      // The same bytes under the same name: another namespace has them, or a removal failed.
      if (errorCode(error) !== "EEXIST") throw error;
    }
    // At once, for the file system then writes its journal once for both. In which order they get there does not matter before the record.
    await Promise.all([writer.sync(), this.#files.fsyncDirectory("content.blob.fsyncDirectory", dirname(path))]);
  }

  /**
   * Removes a blob's bytes when `unlinked`, asked while nobody can commit the same digest, says that no namespace has it, and nobody has
   * pinned it. Whoever unpins it has to ask again.
   */
  async removeBlob(digest: string, unlinked: () => Promise<boolean>): Promise<void> {
    await this.withDigest(digest, async () => {
      if (this.#pins.has(digest) || !(await unlinked())) return;
      await this.#files.rm("content.blob.rm", this.blobPath(digest));
    });
  }

  /** Keeps a blob's bytes from removal and returns their number, or undefined when they are not there. */
  async pin(digest: string): Promise<number | undefined> {
    return this.withDigest(digest, async () => {
      const stats = await this.#stat("content.blob.stat", this.blobPath(digest));
      if (stats !== undefined) this.#pins.set(digest, (this.#pins.get(digest) ?? 0) + 1);
      return stats?.size;
    });
  }

  unpin(digest: string): void {
    const pins = this.#pins.get(digest) ?? 0;
    if (pins > 1) this.#pins.set(digest, pins - 1);
    else this.#pins.delete(digest);
  }

  /** Where a blob's bytes are, if they are. @throws ShiplogError InvalidArgument when `digest` is none */
  blobPath(digest: string): string {
    const { algorithm, hex } = parseDigest(digest);
    return join(this.#blobs, algorithm, hex);
  }

  /**
   * A blob's bytes from `offset` on, in pieces of at most 1 MiB, until `length` bytes have come or the blob ends. Each piece is a buffer
   * of its own. A blob that is removed meanwhile is still read to the end.
   * @throws an error of code ENOENT when the bytes are not there
   */
  async *read(digest: string, offset: number, length: number): AsyncGenerator<Buffer, void, void> {
    const handle = await this.#files.open("content.blob.open", this.blobPath(digest), "r");
    try {
      for (let left = length; left > 0; ) {
        const buffer = Buffer.allocUnsafeSlow(Math.min(left, pieceBytesMax));
        const read = await this.#files.read("content.blob.read", handle, buffer, offset + length - left);
        if (read > 0) yield buffer.subarray(0, read);
        if (read < buffer.length) return;
        left -= read;
      }
    } finally {
      await this.#files.close("content.blob.close", handle);
    }
  }

  /** The digests of the blobs on disk, linked or not. */
  async listBlobs(): Promise<string[]> {
    const lists = Object.keys(digestAlgorithms).map(async (algorithm) => {
      const names = await this.#files.readdir("content.blobs.readdir", join(this.#blobs, algorithm));
      return names.map((hex) => `${algorithm}:${hex}`);
    });
    return (await Promise.all(lists)).flat();
  }

  /** Whether bytes of this digest are being placed or removed, or are kept for an upload that uses them. */
  isBlobBusy(digest: string): boolean {
    return this.#digestMutex.isHeld(digest) || this.#pins.has(digest);
  }

  /** A blob's size on disk; undefined when it is not there. */
  async blobSize(digest: string): Promise<number | undefined> {
    return (await this.#stat("content.blob.stat", this.blobPath(digest)))?.size;
  }

  /** The uploads that have files, recorded or not. `name` is the directory's; a ref that cannot be read is undefined. */
  async listIngests(): Promise<
    {
      readonly name: string;
      readonly path: string;
      readonly ingest: { readonly namespace: string; readonly ref: string } | undefined;
    }[]
  > {
    const names = await this.#files.readdir("content.ingests.readdir", this.#ingests);
    return Promise.all(
      names.map(async (name) => ({ name, path: join(this.#ingests, name), ingest: await this.#ingestIn(name) })),
    );
  }

  /** Whether files of this ingest are being made or removed, or somebody writes it. */
  isIngestBusy(namespace: string, ref: string): boolean {
    return this.#ingestMutex.isHeld(ingestKey(namespace, ref)) || this.isBeingWritten(namespace, ref);
  }

  /** Removes an upload's directory by its name; for those that no table knows. */
  async removeIngestDirectory(name: string): Promise<void> {
    await this.#files.rm("content.ingest.rm", join(this.#ingests, basename(name)));
  }

  async #ingestIn(name: string): Promise<{ namespace: string; ref: string } | undefined> {
    try {
      const text = (await this.#files.readFile("content.ingest.ref.read", join(this.#ingests, name, "ref"))).toString(
        "utf8",
      );
      const slash = text.indexOf("/");
      const [namespace, ref] = [text.slice(0, slash), text.slice(slash + 1)];
      return slash > 0 && basename(this.#ingestDirectory(namespace, ref)) === name ? { namespace, ref } : undefined;
    } catch (error) {
      if (errorCode(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  /**
   * Brings the files in line with the tables, before anything is served: removes what they do not know, and gives an open ingest its files
   * again if a power cut took them. Returns how many blobs and ingests were removed.
   */
  async sweep(
    linked: ReadonlySet<string>,
    open: Iterable<{ namespace: string; ref: string }>,
  ): Promise<{ blobs: number; ingests: number }> {
    const strayBlobs = (await this.listBlobs()).filter((digest) => !linked.has(digest));
    for (const digest of strayBlobs) {
      await this.#files.rm("content.sweep.rm", join(this.#blobs, ...digest.split(":")));
    }
    const directories = new Set<string>();
    for (const { namespace, ref } of open) {
      const directory = this.#ingestDirectory(namespace, ref);
      directories.add(directory);
      if ((await this.progress(namespace, ref)) !== undefined) continue;
      await (await this.openWriter(namespace, ref, "sha256", true)).close();
    }
    const found = (await this.#files.readdir("content.sweep.readdir", this.#ingests)).map((name) =>
      join(this.#ingests, name),
    );
    const strayIngests = found.filter((directory) => !directories.has(directory));
    for (const directory of strayIngests) await this.#files.rm("content.sweep.rm", directory);
    return { blobs: strayBlobs.length, ingests: strayIngests.length };
  }

  /** Nothing here is synced: if a power cut takes the files of an ingest that is recorded, the sweep makes them again. */
  async #makeIngest(directory: string, namespace: string, ref: string): Promise<void> {
    try {
      makeDirectoryAt(AT_FDCWD, directory, 0o700, () => this.#hook("content.ingest.mkdir"));
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw error;
    }
    const handle = await this.#files.open("content.ingest.ref", join(directory, "ref"), "w");
    try {
      await this.#files.write("content.ingest.ref.write", handle, Buffer.from(ingestKey(namespace, ref)), 0);
    } finally {
      await this.#files.close("content.ingest.ref.close", handle);
    }
  }

  async #stat(operation: string, path: string) {
    try {
      return await this.#files.stat(operation, path);
    } catch (error) {
      if (errorCode(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  /** Named by a hash, so that a ref of any length and any characters is one file name. */
  #ingestDirectory(namespace: string, ref: string): string {
    return join(this.#ingests, createHash("sha256").update(ingestKey(namespace, ref)).digest("hex"));
  }
}

/** Unambiguous, for a namespace holds no slash. */
function ingestKey(namespace: string, ref: string): string {
  return `${namespace}/${ref}`;
}
