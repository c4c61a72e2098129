/**
 * The next segment, made ready while the present one is filled. Owns the file `next` in the log's directory: it has its space and no
 * name yet, because its first position is not known. It gets the name only when its header is durable, so a segment under its own name
 * has a valid header unless something damaged it.
 */
import { join } from "node:path";
import type { FileHandle, Files } from "../platform/files.ts";
import type { Position } from "./fact.ts";
import { frameSeed } from "./frame.ts";
import { Segment } from "./segment.ts";
import { encodeSegmentHeader, segmentHeaderBytes, segmentName } from "./segment-header.ts";

/** The file `next`: made ahead, named when its first position is known. */
export class Reserve {
  readonly #files: Files;
  readonly #directory: string;
  readonly #logId: Uint8Array;
  readonly #segmentBytes: number;
  #ready: Promise<FileHandle | undefined> = Promise.resolve(undefined);

  constructor(files: Files, directory: string, logId: Uint8Array, segmentBytes: number) {
    this.#files = files;
    this.#directory = directory;
    this.#logId = logId;
    this.#segmentBytes = segmentBytes;
  }

  /** Begins to make the file. A failure, of a full disk perhaps, is nothing yet: `take` tries once more and then it counts. */
  prepare(): void {
    this.#ready = this.#make().catch(() => undefined);
  }

  /** Makes the segment that begins at `first`, durable and open for writing. */
  async take(first: Position): Promise<Segment> {
    const handle = (await this.#ready) ?? (await this.#make());
    this.#ready = Promise.resolve(undefined);
    try {
      const path = join(this.#directory, segmentName(first));
      await this.#files.write("log.begin.write", handle, encodeSegmentHeader(this.#logId, first), 0);
      await this.#files.fdatasync("log.begin.fdatasync", handle);
      await this.#files.rename("log.begin.rename", join(this.#directory, "next"), path);
      await this.#files.fsyncDirectory("log.begin.fsyncDirectory", this.#directory);
      const segment = new Segment(this.#files, frameSeed(this.#logId), path, first, first, segmentHeaderBytes);
      segment.handle = handle;
      return segment;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await (await this.#ready)?.close();
    this.#ready = Promise.resolve(undefined);
  }

  async #make(): Promise<FileHandle> {
    const handle = await this.#files.open("log.prepare.open", join(this.#directory, "next"), "w+");
    try {
      await this.#files.preallocate("log.prepare.preallocate", handle, 0, this.#segmentBytes);
      await this.#files.fsync("log.prepare.fsync", handle);
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }
}
