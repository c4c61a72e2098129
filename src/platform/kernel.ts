/**
 * The one way from here to libc. Owns the library handle, the retry of interrupted calls and the turning of error numbers into errors.
 * Must never block for long: what may wait on a disk or a peer is declared asynchronous by the file that needs it.
 */
import koffi from "koffi";
import { type CallSubject, kernelError } from "./errno.ts";
import type { OperationHook } from "./operation.ts";

/** The C library. Works on the main thread and in worker threads alike. */
export const libc = koffi.load("libc.so.6");

const EINTR = 4;
const EINVAL = 22;

/** The bytes of a path or name with the NUL that C wants. A NUL inside would cut the name short, so it is refused as the kernel would. */
export function cString(text: string | Buffer, syscall: string): Buffer {
  const length = typeof text === "string" ? Buffer.byteLength(text) : text.length;
  const bytes = Buffer.allocUnsafe(length + 1);
  if (typeof text === "string") bytes.write(text, 0, "utf8");
  else text.copy(bytes);
  bytes[length] = 0;
  if (bytes.indexOf(0) !== length) throw kernelError(EINVAL, syscall, { path: text });
  return bytes;
}

/**
 * Makes one call that answers below zero on failure, under the name `kernel.<syscall>`. An interrupted call is made again, as often as
 * it takes: signals are finite.
 */
export function kernelCall(syscall: string, hook: OperationHook, subject: CallSubject, call: () => number): number {
  hook(`kernel.${syscall}`);
  for (;;) {
    const answer = call();
    if (answer >= 0) return answer;
    const number = koffi.errno();
    if (number !== EINTR) throw kernelError(number, syscall, subject);
  }
}

/** Buffers that a call on another thread reads: koffi does not keep them alive, and a collected one is a crash. */
const buffersInUse = new Set<readonly Buffer[]>();

/**
 * The same for a call that may take long: it runs on libuv's thread pool, so a caller must bound how many are under way. `buffers` are
 * those that the call was given.
 */
export async function kernelCallAsync(
  syscall: string,
  hook: OperationHook,
  subject: CallSubject,
  buffers: readonly Buffer[],
  start: (answered: (thrown: unknown, answer: number) => void) => void,
): Promise<number> {
  hook(`kernel.${syscall}`);
  buffersInUse.add(buffers);
  try {
    for (;;) {
      const [answer, number] = await new Promise<[number, number]>((resolve, reject) => {
        start((thrown, result) => {
          // koffi restores the call's error number just before it calls back, so it must be read here and not after the await.
          const errno = result < 0 ? koffi.errno() : 0;
          if (thrown) reject(thrown);
          else resolve([result, errno]);
        });
      });
      if (answer >= 0) return answer;
      if (number !== EINTR) throw kernelError(number, syscall, subject);
    }
  } finally {
    buffersInUse.delete(buffers);
  }
}
