/**
 * Turns a kernel error number into an Error with the same fields that Node's own file calls give (`code`, `errno`, `syscall`, `path`, `dest`),
 * so that a caller never has to know whether a call went through node:fs or through libc. Owns no call itself.
 */
import koffi from "koffi";

/** An error of a kernel call. `code` is the symbolic name (`ENOENT`), `errno` the negated number, as in Node's own errors. */
export interface KernelError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  readonly path?: string;
  readonly dest?: string;
}

/** What a kernel call was made on. Paths are bytes to the kernel; a Buffer is shown as UTF-8 in messages only. */
export interface CallSubject {
  readonly path?: string | Buffer;
  readonly dest?: string | Buffer;
}

const names = new Map<number, string>();
for (const [name, number] of Object.entries(koffi.os.errno)) if (!names.has(number)) names.set(number, name);
// Two numbers have two names each; the kernel's documentation speaks of these.
names.set(koffi.os.errno.EAGAIN ?? 11, "EAGAIN");
names.set(koffi.os.errno.ENOTSUP ?? 95, "ENOTSUP");

const strerror = koffi.load("libc.so.6").func("const char *strerror(int)");

/** Makes the error for error number `number` (positive) of `syscall`. */
export function kernelError(number: number, syscall: string, subject: CallSubject = {}): KernelError {
  const code = names.get(number) ?? `E${number}`;
  const path = subject.path?.toString();
  const dest = subject.dest?.toString();
  const where = `${path === undefined ? "" : ` '${path}'`}${dest === undefined ? "" : ` -> '${dest}'`}`;
  const error = new Error(`${code}: ${strerror(number)}, ${syscall}${where}`);
  return Object.assign(error, {
    code,
    errno: -number,
    syscall,
    ...(path === undefined ? {} : { path }),
    ...(dest === undefined ? {} : { dest }),
  });
}

/** The symbolic name of an error of node:fs or of this room, or undefined for anything else that was thrown. */
export function errorCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !("code" in thrown)) return undefined;
  return typeof thrown.code === "string" ? thrown.code : undefined;
}
