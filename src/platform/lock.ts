/** flock(2): one holder of a file at a time, given back by the kernel however the holder ends. Owns the call; never waits. */
import koffi from "koffi";
import { kernelError } from "./errno.ts";
import { libc } from "./kernel.ts";

const flock = libc.func("int flock(int fd, int operation)");
const { EAGAIN } = koffi.os.errno;
const LOCK_EX = 2;
const LOCK_NB = 4;

/** Takes the lock of the open file behind `descriptor`; false when another opening of the file has it. Closing gives it back. @throws KernelError */
export function tryLock(descriptor: number): boolean {
  if (flock(descriptor, LOCK_EX | LOCK_NB) === 0) return true;
  const errno = koffi.errno();
  if (errno === EAGAIN) return false;
  throw kernelError(errno, "flock");
}
