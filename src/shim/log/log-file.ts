/**
 * The file that is being written, and when the next one begins. Owns the descriptor and what is known of the file's size; it must never leave
 * part of a record where a reader looks for a whole one, nor split a record over two files.
 */
import { constants } from "node:fs";
import { type FileHandle, mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { openLogFile } from "./open-log-file.ts";
import { RotatedFiles } from "./rotated-files.ts";
import { cutTornRecord } from "./torn-record.ts";

const { O_APPEND, O_CREAT, O_RDWR, O_TRUNC } = constants;
const recordEnd = 0x0a;
/** The directory's mode where it has to be made, as containerd's shim has it for `file://`. */
const directoryMode = 0o755;

export interface LogFileOptions {
  readonly path: string;
  /** Bytes; Infinity: no rotation. */
  readonly maxSize: number;
  readonly maxFile: number;
  readonly compress: boolean;
  readonly recordBytesMax: number;
  /** A torn record of so many bytes was found at the file's end, and cut. */
  readonly onTorn: (bytes: number) => void;
}

/** How much of the records is in the file, and why not all. */
export interface AppendResult {
  /** Always at a record's end. */
  readonly written: number;
  readonly error: unknown;
}

export class LogFile {
  readonly #options: LogFileOptions;
  readonly #rotated: RotatedFiles | undefined;
  #handle: FileHandle;
  #size: number;
  #device: number;
  /** The last record in the file may be part of one: a failed write could not be taken back. */
  #torn = false;

  private constructor(options: LogFileOptions, rotated: RotatedFiles | undefined, opened: OpenedFile) {
    this.#options = options;
    this.#rotated = rotated;
    this.#handle = opened.handle;
    this.#size = opened.size;
    this.#device = opened.device;
  }

  /** Opens or creates the file, and the directory that it is in. @throws node:fs errors; Error when it is not a regular file */
  static async open(options: LogFileOptions): Promise<LogFile> {
    await mkdir(dirname(options.path), { recursive: true, mode: directoryMode });
    const opened = await openRegular(options);
    const rotates = options.maxSize !== Number.POSITIVE_INFINITY;
    try {
      if (rotates) await rm(successorOf(options.path), { force: true });
      const rotated = rotates
        ? await RotatedFiles.find(options.path, options.maxFile - 1, options.compress)
        : undefined;
      return new LogFile(options, rotated, opened);
    } catch (error) {
      await opened.handle.close();
      throw error;
    }
  }

  /** Where the file is (st_dev). */
  get device(): number {
    return this.#device;
  }

  /** Appends whole records, to one file or to several. Never rejects. */
  async append(records: Buffer): Promise<AppendResult> {
    let written = 0;
    while (written < records.length) {
      if (this.#size >= this.#options.maxSize) await this.#rotate();
      const portion = records.subarray(written, this.#portionEnd(records, written));
      const result = await this.#appendPortion(portion);
      written += result.written;
      if (result.error !== undefined) return { written, error: result.error };
    }
    return { written, error: undefined };
  }

  /** Goes on in the file that is at the path now, which is made if there is none. On failure goes on in the old one. @throws as open does */
  async reopen(): Promise<void> {
    const opened = await openRegular(this.#options);
    await this.#replaceBy(opened);
  }

  /** Closes the file. What compression has not done after so many milliseconds is left. */
  async close(compressionMs: number): Promise<void> {
    await this.#handle.close().catch(() => {});
    await this.#rotated?.settleCompression(compressionMs);
  }

  /** The first record's end at which the file is full. Where rotation did not work the file just grows. */
  #portionEnd(records: Buffer, from: number): number {
    const room = this.#options.maxSize - this.#size;
    if (room <= 0 || records.length - from <= room) return records.length;
    return records.indexOf(recordEnd, from + room - 1) + 1;
  }

  async #appendPortion(portion: Buffer): Promise<AppendResult> {
    let done = 0;
    try {
      if (this.#torn) await this.#cutTorn();
      while (done < portion.length) {
        const { bytesWritten } = await this.#handle.write(portion, done, portion.length - done, null);
        done += bytesWritten;
        this.#size += bytesWritten;
      }
      return { written: done, error: undefined };
    } catch (error) {
      const whole = done === 0 ? 0 : portion.lastIndexOf(recordEnd, done - 1) + 1;
      await this.#takeBack(done - whole);
      return { written: whole, error };
    }
  }

  async #takeBack(bytes: number): Promise<void> {
    if (bytes === 0) return;
    try {
      // The file's own size: somebody may have cut the file at its beginning.
      const { size } = await this.#handle.stat();
      await this.#handle.truncate(size - bytes);
      this.#size = size - bytes;
    } catch {
      // Told with the write that failed; the next write tries again first.
      this.#torn = true;
    }
  }

  async #cutTorn(): Promise<void> {
    await cutTornRecord(this.#handle, this.#options.recordBytesMax);
    this.#size = (await this.#handle.stat()).size;
    this.#torn = false;
  }

  /** Does nothing where it cannot be done: the file grows beyond its size, and the next append tries again. */
  async #rotate(): Promise<void> {
    const successor = successorOf(this.#options.path);
    let handle: FileHandle | undefined;
    try {
      // Made before anything is moved: a full disk shows here, and nothing has changed yet.
      handle = await openLogFile(successor, O_RDWR | O_APPEND | O_CREAT | O_TRUNC);
      const { dev } = await handle.stat();
      await this.#rotated!.rotate(successor);
      await this.#replaceBy({ handle, size: 0, device: dev });
    } catch {
      await handle?.close();
      await rm(successor, { force: true }).catch(() => {});
    }
  }

  async #replaceBy(opened: OpenedFile): Promise<void> {
    const old = this.#handle;
    this.#handle = opened.handle;
    this.#size = opened.size;
    this.#device = opened.device;
    // Nothing is lost with an error here: each write had its own answer.
    await old.close().catch(() => {});
  }
}

/** Where the next file is until it takes the log's name. */
function successorOf(path: string): string {
  return `${path}.next.tmp`;
}

interface OpenedFile {
  readonly handle: FileHandle;
  readonly size: number;
  readonly device: number;
}

async function openRegular({ path, recordBytesMax, onTorn }: LogFileOptions): Promise<OpenedFile> {
  const handle = await openLogFile(path, O_RDWR | O_APPEND | O_CREAT);
  try {
    const torn = await cutTornRecord(handle, recordBytesMax);
    if (torn > 0) onTorn(torn);
    const { size, dev } = await handle.stat();
    return { handle, size, device: dev };
  } catch (error) {
    await handle.close();
    throw error;
  }
}
