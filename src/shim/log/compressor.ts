/**
 * Compression of rotated files, aside: one file at a time in the whole process, in one thread of libuv's pool, whatever the number of logs. It
 * must never hold up a log. Where it falls behind, files stay uncompressed until their turn; those that rotation removes first are never
 * compressed.
 */
import { constants } from "node:fs";
import { type FileHandle, rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { openLogFile } from "./open-log-file.ts";

const { O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY } = constants;

const pipeBytes = 128 * 1024;

export interface CompressionJob {
  /** Where the compressed file grows. */
  readonly unfinishedPath: string;
  /** False when the file is gone meanwhile. */
  wanted(): boolean;
  /** Opens the file where it is now. */
  openSource(open: (path: string) => Promise<FileHandle>): Promise<FileHandle>;
  /** The compressed file is whole and on the disk: puts it in the other's place. */
  finish(): Promise<void>;
}

interface Waiting {
  readonly log: object;
  readonly file: object;
  readonly job: CompressionJob;
}

export class Compressor {
  /** At most one entry per file that waits, so at most max-file of each log. */
  readonly #waiting: Waiting[] = [];
  #current: (Waiting & { readonly abort: AbortController; readonly done: Promise<void> }) | undefined;

  /** Queues a file of a log unless it is in the queue. What fails leaves the file as it was. */
  offer(log: object, file: object, job: CompressionJob): void {
    if (this.#current?.file === file || this.#waiting.some((waiting) => waiting.file === file)) return;
    this.#waiting.push({ log, file, job });
    if (this.#current === undefined) this.#next();
  }

  /** Resolves when nothing of the log waits or runs, or after so many milliseconds, when what is left is given up. */
  async settle(log: object, milliseconds: number): Promise<void> {
    let late = false;
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        late = true;
        resolve();
      }, milliseconds);
    });
    while (!late && (this.#current?.log === log || this.#waiting.some((waiting) => waiting.log === log))) {
      await Promise.race([this.#current?.done, deadline]);
    }
    clearTimeout(timer);
    if (late) this.#giveUp(log);
  }

  #giveUp(log: object): void {
    for (let index = this.#waiting.length - 1; index >= 0; index--) {
      if (this.#waiting[index]!.log === log) this.#waiting.splice(index, 1);
    }
    if (this.#current?.log === log) this.#current.abort.abort();
  }

  #next(): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) return;
    const abort = new AbortController();
    const done = run(waiting.job, abort.signal).finally(() => {
      this.#current = undefined;
      this.#next();
    });
    this.#current = { ...waiting, abort, done };
  }
}

async function run(job: CompressionJob, signal: AbortSignal): Promise<void> {
  if (!job.wanted()) return;
  try {
    const source = await job.openSource((path) => openLogFile(path, O_RDONLY));
    // O_EXCL is not asked for: what is there under this name is this log's own and unfinished.
    const target = await openLogFile(job.unfinishedPath, O_WRONLY | O_CREAT | O_TRUNC).catch(async (error) => {
      await source.close();
      throw error;
    });
    // Loaded at the first file: it would be a tenth of a shim's start.
    const { createGzip } = await import("node:zlib");
    // `flush`: the original is removed next, so the copy must be on the disk, not only written.
    await pipeline(
      source.createReadStream({ highWaterMark: pipeBytes }),
      createGzip({ chunkSize: pipeBytes }),
      target.createWriteStream({ highWaterMark: pipeBytes, flush: true }),
      { signal },
    );
    await job.finish();
  } catch {
    // The original is untouched, and is offered again at the next rotation.
    await rm(job.unfinishedPath, { force: true }).catch(() => {});
  }
}

/** The one of this process. */
export const compressor = new Compressor();
