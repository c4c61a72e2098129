/**
 * Bare descriptors that carry bytes: reading and writing one without ever waiting, and the flags that decide whether it would wait. "Not
 * now" is an answer here and no error. Owns no descriptor; what is opened elsewhere is closed with `closeDescriptor`.
 */
import { constants, openSync, write } from "node:fs";
import koffi from "koffi";
import { kernelError } from "./errno.ts";
import { kernelCall, libc } from "./kernel.ts";
import { type OperationHook, proceed } from "./operation.ts";

const c = {
  read: libc.func("intptr_t read(int, void *, size_t)"),
  write: libc.func("intptr_t write(int, const void *, size_t)"),
  fcntl: libc.func("int fcntl(int, int, int)"),
};

const F_DUPFD_CLOEXEC = 1030;
const F_GETFL = 3;
const F_SETFL = 4;
const EINTR = 4;
const EAGAIN = 11;

/** What `readNow` and `writeNow` answer when the descriptor has nothing to give, or takes nothing, at the moment. */
export const notNow = -EAGAIN;

/** Reads what is there, at most `buffer.length` bytes: their number, 0 at the end, or `notNow`. The descriptor must not block. @throws KernelError */
export function readNow(descriptor: number, buffer: Buffer, hook: OperationHook = proceed): number {
  return nowOrNot("read", hook, () => c.read(descriptor, buffer, buffer.length));
}

/** Writes as much as is taken: the number of bytes, fewer than all when it is full, or `notNow`. The descriptor must not block. @throws KernelError */
export function writeNow(descriptor: number, buffer: Buffer, hook: OperationHook = proceed): number {
  return nowOrNot("write", hook, () => c.write(descriptor, buffer, buffer.length));
}

function nowOrNot(syscall: string, hook: OperationHook, call: () => number): number {
  hook(`kernel.${syscall}`);
  for (;;) {
    const answer = call();
    if (answer >= 0) return answer;
    const number = koffi.errno();
    if (number === EAGAIN) return notNow;
    if (number !== EINTR) throw kernelError(number, syscall);
  }
}

/**
 * Says whether calls on the open file may wait (O_NONBLOCK). It belongs to the open file and not to the descriptor: whoever has a
 * duplicate, a child process for example, sees the change. @throws KernelError
 */
export function setBlocking(descriptor: number, isBlocking: boolean, hook: OperationHook = proceed): void {
  const flags = kernelCall("fcntl", hook, {}, () => c.fcntl(descriptor, F_GETFL, 0));
  const wanted = isBlocking ? flags & ~constants.O_NONBLOCK : flags | constants.O_NONBLOCK;
  if (wanted !== flags) kernelCall("fcntl", hook, {}, () => c.fcntl(descriptor, F_SETFL, wanted));
}

const O_PATH = 0x200000;

/** An O_PATH descriptor of what a path names, a symbolic link in the last component itself included: to look at, and for `openFound`. @throws errors of open(2) */
export function findPath(path: string, hook: OperationHook = proceed): number {
  hook("descriptor.find");
  return openSync(path, O_PATH | constants.O_NOFOLLOW);
}

/**
 * Opens for use the very file that an O_PATH descriptor stands for, whatever its name has become since. Never waits: a FIFO without a
 * reader answers ENXIO to a writer. The result does not block either (`setBlocking`). No terminal becomes the process's own.
 * @throws errors of open(2)
 */
export function openFound(found: number, flags: number, hook: OperationHook = proceed): number {
  hook("descriptor.open");
  return openSync(`/proc/self/fd/${found}`, flags | constants.O_NONBLOCK | constants.O_NOCTTY);
}

/** A second descriptor of the same open file. @throws KernelError */
export function duplicateDescriptor(descriptor: number, hook: OperationHook = proceed): number {
  return kernelCall("fcntl", hook, {}, () => c.fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
}

/**
 * Writes at the place where the open file is, on a thread of libuv's pool, since a disk may take its time; resolves with the bytes taken.
 * @throws errors of write(2)
 */
export function writeDescriptor(descriptor: number, buffer: Buffer, hook: OperationHook = proceed): Promise<number> {
  hook("descriptor.write");
  return new Promise((resolve, reject) => {
    write(descriptor, buffer, 0, buffer.length, null, (error, written) => (error ? reject(error) : resolve(written)));
  });
}
