/** Pipes with and without a name. Owns how they are made; the descriptors belong to the caller (`closeDescriptor`). */
import { errorCode } from "./errno.ts";
import { cString, kernelCall, libc } from "./kernel.ts";
import { type OperationHook, proceed } from "./operation.ts";

const c = {
  pipe2: libc.func("int pipe2(void *, int)"),
  mkfifo: libc.func("int mkfifo(const void *, unsigned int)"),
  fcntl: libc.func("int fcntl(int, int, int)"),
};

const O_CLOEXEC = 0x80000;
const F_SETPIPE_SZ = 1031;

/** The two ends of a pipe. Both block until told otherwise. */
export interface Pipe {
  readonly reader: number;
  readonly writer: number;
}

/** Makes a pipe that no program started meanwhile inherits. @throws KernelError */
export function makePipe(hook: OperationHook = proceed): Pipe {
  const ends = Buffer.alloc(8);
  kernelCall("pipe2", hook, {}, () => c.pipe2(ends, O_CLOEXEC));
  return { reader: ends.readInt32LE(0), writer: ends.readInt32LE(4) };
}

/** Makes a FIFO; the process's umask applies. @throws KernelError, EEXIST when the name is taken */
export function makeFifo(path: string, mode: number, hook: OperationHook = proceed): void {
  const bytes = cString(path, "mkfifo");
  kernelCall("mkfifo", hook, { path }, () => c.mkfifo(bytes, mode));
}

/**
 * Lets a pipe hold up to `bytes`. False when the kernel does not grant that much to this user (fs/pipe-max-size, pipe-user-pages-soft),
 * which leaves it as it was: a smaller pipe is slower and nothing else.
 */
export function setPipeCapacity(descriptor: number, bytes: number, hook: OperationHook = proceed): boolean {
  try {
    kernelCall("fcntl", hook, {}, () => c.fcntl(descriptor, F_SETPIPE_SZ, bytes));
    return true;
  } catch (thrown) {
    if (errorCode(thrown) === "EPERM" || errorCode(thrown) === "EBUSY") return false;
    throw thrown;
  }
}
