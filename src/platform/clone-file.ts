/**
 * Making one open file the copy of another: by sharing its blocks where the file system can (FICLONE), by copying what it holds where it
 * cannot. Owns the two calls and the reading of where a file has no data. Blocks for as long as the disk takes: for worker threads.
 */
import { fstatSync, ftruncateSync, readSync, writeSync } from "node:fs";
import { errorCode } from "./errno.ts";
import { kernelCall, libc } from "./kernel.ts";
import { type OperationHook, proceed } from "./operation.ts";

const c = {
  ioctl: libc.func("ioctl", "int", ["int", "unsigned long", "long"]),
  lseek: libc.func("int64_t lseek(int, int64_t, int)"),
  copyFileRange: libc.func("intptr_t copy_file_range(int, const void *, int, const void *, size_t, unsigned int)"),
};

/** _IOW(0x94, 9, int) of linux/fs.h. */
const FICLONE = 0x40049409;
const SEEK_SET = 0;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/** Bytes that are copied between two looks at whether anybody still waits. */
const stepBytes = 8 * 1024 * 1024;

/** What a file system answers that shares no blocks, or not between these two files. */
const cannotShare: ReadonlySet<string | undefined> = new Set([
  "ENOTSUP",
  "EXDEV",
  "EINVAL",
  "ENOTTY",
  "ENOSYS",
  "ETXTBSY",
]);

/** Lets `target` share all blocks of `source`; false where that cannot be, and nothing has happened then. @throws KernelError for anything else */
export function shareBlocks(target: number, source: number, hook: OperationHook = proceed): boolean {
  try {
    kernelCall("ficlone", hook, {}, () => c.ioctl(target, FICLONE, source));
    return true;
  } catch (thrown) {
    if (cannotShare.has(errorCode(thrown))) return false;
    throw thrown;
  }
}

/**
 * Copies what `source` holds into the empty file `target`; where it has holes the copy has them too. `goOn` is asked now and then, and ends
 * the copy by throwing. Resolves with the bytes of data.
 * @throws KernelError, errors of node:fs
 */
export function copyData(
  target: number,
  source: number,
  goOn: () => void = () => {},
  hook: OperationHook = proceed,
): number {
  const { size } = fstatSync(source);
  let copied = 0;
  for (let at = nextData(source, 0, hook); at !== undefined; at = nextData(source, at, hook)) {
    const end = seek(source, at, SEEK_HOLE, hook);
    seek(source, at, SEEK_SET, hook);
    seek(target, at, SEEK_SET, hook);
    while (at < end) {
      goOn();
      const length = copySome(target, source, Math.min(end - at, stepBytes), hook);
      // The file has become shorter meanwhile.
      if (length === 0) break;
      at += length;
      copied += length;
    }
    if (at < end) break;
  }
  ftruncateSync(target, size);
  return copied;
}

/** Where the next data begins, undefined when there is none. */
function nextData(file: number, from: number, hook: OperationHook): number | undefined {
  try {
    return seek(file, from, SEEK_DATA, hook);
  } catch (thrown) {
    if (errorCode(thrown) === "ENXIO") return undefined;
    throw thrown;
  }
}

function seek(file: number, offset: number, whence: number, hook: OperationHook): number {
  return kernelCall("lseek", hook, {}, () => Number(c.lseek(file, offset, whence)));
}

function copySome(target: number, source: number, length: number, hook: OperationHook): number {
  try {
    return kernelCall("copy_file_range", hook, {}, () =>
      Number(c.copyFileRange(source, null, target, null, length, 0)),
    );
  } catch (thrown) {
    if (!cannotShare.has(errorCode(thrown))) throw thrown;
  }
  const buffer = Buffer.allocUnsafe(Math.min(length, 1024 * 1024));
  const read = readSync(source, buffer, 0, buffer.length, null);
  for (let written = 0; written < read; ) written += writeSync(target, buffer, written, read - written, null);
  return read;
}
