/**
 * The filesystem behind named calls. Owns the few operations that durable state is made of; each takes the name under which it is
 * announced to the hook (`log.fdatasync`), and a composed operation adds the step (`blob.write.rename`). It must never retry: what a
 * failed write or sync means is the caller's to say.
 */
import * as fs from "node:fs/promises";
import type { Stats } from "node:fs";
import { dirname, resolve } from "node:path";
import koffi from "koffi";
import { kernelError } from "./errno.ts";
import { libc } from "./kernel.ts";
import { tryLock } from "./lock.ts";
import { type OperationHook, proceed } from "./operation.ts";

export type FileHandle = fs.FileHandle;

const fallocate = libc.func("int fallocate(int fd, int mode, int64_t offset, int64_t length)");
const { EINTR, ENOSYS, EOPNOTSUPP } = koffi.os.errno;

export class Files {
  readonly #hook: OperationHook;
  #temporary = 0;

  constructor(hook: OperationHook = proceed) {
    this.#hook = hook;
  }

  async open(operation: string, path: string, flags: string | number, mode = 0o600): Promise<FileHandle> {
    this.#hook(operation);
    return fs.open(path, flags, mode);
  }

  async close(operation: string, handle: FileHandle): Promise<void> {
    this.#hook(operation);
    return handle.close();
  }

  /** Fills `buffer` from `offset` on; returns the bytes read, fewer than its length only where the file ends. */
  async read(operation: string, handle: FileHandle, buffer: Uint8Array, offset: number): Promise<number> {
    this.#hook(operation);
    let total = 0;
    while (total < buffer.length) {
      const { bytesRead } = await handle.read(buffer, total, buffer.length - total, offset + total);
      if (bytesRead === 0) break;
      total += bytesRead;
    }
    return total;
  }

  /** Writes the whole buffer at `offset`. */
  async write(operation: string, handle: FileHandle, buffer: Uint8Array, offset: number): Promise<void> {
    this.#hook(operation);
    let total = 0;
    while (total < buffer.length) {
      const { bytesWritten } = await handle.write(buffer, total, buffer.length - total, offset + total);
      total += bytesWritten;
    }
  }

  async fdatasync(operation: string, handle: FileHandle): Promise<void> {
    this.#hook(operation);
    return handle.datasync();
  }

  async fsync(operation: string, handle: FileHandle): Promise<void> {
    this.#hook(operation);
    return handle.sync();
  }

  /** Makes the names in a directory durable: a created, renamed or removed file is not safe before this. */
  async fsyncDirectory(operation: string, path: string): Promise<void> {
    this.#hook(operation);
    const handle = await fs.open(path, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  async truncate(operation: string, handle: FileHandle, length: number): Promise<void> {
    this.#hook(operation);
    return handle.truncate(length);
  }

  async rename(operation: string, from: string, to: string): Promise<void> {
    this.#hook(operation);
    return fs.rename(from, to);
  }

  async unlink(operation: string, path: string): Promise<void> {
    this.#hook(operation);
    return fs.unlink(path);
  }

  /** Removes a file or a tree; what is not there is no error. */
  async rm(operation: string, path: string): Promise<void> {
    this.#hook(operation);
    return fs.rm(path, { recursive: true, force: true });
  }

  async stat(operation: string, path: string): Promise<Stats> {
    this.#hook(operation);
    return fs.stat(path);
  }

  async readdir(operation: string, path: string): Promise<string[]> {
    this.#hook(operation);
    return fs.readdir(path);
  }

  async readFile(operation: string, path: string): Promise<Buffer> {
    this.#hook(operation);
    return fs.readFile(path);
  }

  /** Makes a directory and whatever is missing above it, and makes every new name durable. */
  async makeDirectory(operation: string, path: string, mode = 0o700): Promise<void> {
    this.#hook(operation);
    const first = await fs.mkdir(path, { recursive: true, mode });
    if (first === undefined) return;
    for (let made = resolve(path); made.length >= first.length; made = dirname(made)) {
      await this.fsyncDirectory(`${operation}.fsyncDirectory`, dirname(made));
    }
  }

  /** Writes a file so that after a crash it has either its old content or all of the new. */
  async writeFileDurably(operation: string, path: string, bytes: Uint8Array, mode = 0o600): Promise<void> {
    const temporary = `${path}.${process.pid}.${this.#temporary++}.tmp`;
    const handle = await this.open(`${operation}.open`, temporary, "w", mode);
    try {
      try {
        await this.write(`${operation}.write`, handle, bytes, 0);
        await this.fsync(`${operation}.fsync`, handle);
      } finally {
        await handle.close();
      }
      await this.rename(`${operation}.rename`, temporary, path);
    } catch (error) {
      await fs.rm(temporary, { force: true });
      throw error;
    }
    await this.fsyncDirectory(`${operation}.fsyncDirectory`, dirname(path));
  }

  /**
   * Reserves space that reads as zeros. Where the filesystem has no fallocate the file is only made longer, so that later writes
   * still leave its size alone; running out of space then shows at the write.
   */
  async preallocate(operation: string, handle: FileHandle, offset: number, length: number): Promise<void> {
    this.#hook(operation);
    let errno: number;
    do {
      if (fallocate(handle.fd, 0, offset, length) === 0) return;
      errno = koffi.errno();
    } while (errno === EINTR);
    if (errno !== EOPNOTSUPP && errno !== ENOSYS) throw kernelError(errno, "fallocate");
    const { size } = await handle.stat();
    if (size < offset + length) await handle.truncate(offset + length);
  }

  /** Takes flock(2) on the open file without waiting; false when somebody else holds it. Closing the handle gives it back. */
  lock(operation: string, handle: FileHandle): boolean {
    this.#hook(operation);
    return tryLock(handle.fd);
  }
}
