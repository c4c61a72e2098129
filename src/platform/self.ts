/**
 * What a process does to itself when it is to live on its own: its session, its name, its standard streams, its memory. Owns the calls; when each
 * is right is the caller's to know.
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { errorCode } from "./errno.ts";
import { kernelCall, libc } from "./kernel.ts";
import { type OperationHook, proceed } from "./operation.ts";

const c = {
  setsid: libc.func("int setsid()"),
  dup3: libc.func("int dup3(int, int, int)"),
  prctl: libc.func("int prctl(int, const char *, unsigned long, unsigned long, unsigned long)"),
  mallocTrim: libc.func("int malloc_trim(size_t)"),
  memcpy: libc.func("void *memcpy(uintptr_t, const void *, size_t)"),
};

const PR_SET_NAME = 15;

/** Leaves the session and process group of whoever started this process: no signal to them reaches it. The leader of a group of its own stays. @throws KernelError */
export function leaveSession(hook: OperationHook = proceed): void {
  try {
    kernelCall("setsid", hook, {}, () => c.setsid());
  } catch (thrown) {
    if (errorCode(thrown) !== "EPERM") throw thrown;
  }
}

/** Makes `descriptor` mean what `by` means; what it meant before is closed. @throws KernelError */
export function replaceDescriptor(descriptor: number, by: number, hook: OperationHook = proceed): void {
  kernelCall("dup3", hook, {}, () => c.dup3(by, descriptor, 0));
}

/**
 * Shows `args` as this process's command line, in the place where the first one was; those that do not fit there any more are left out. The kernel
 * shows the first 15 bytes of `name` where it shows short names. @throws KernelError, errors of node:fs
 */
export function nameProcess(name: string, args: readonly string[] | undefined, hook: OperationHook = proceed): void {
  kernelCall("prctl", hook, {}, () => c.prctl(PR_SET_NAME, basename(name).slice(0, 15), 0, 0, 0));
  if (args === undefined) return;
  // proc_pid_stat(5): fields 48 and 49, counted from the end of the command's name.
  const stat = readFileSync("/proc/self/stat", "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [start, end] = [Number(fields[48 - 3]), Number(fields[49 - 3])];
  const place = Buffer.alloc(end - start);
  let length = 0;
  for (const arg of args) {
    const bytes = Buffer.byteLength(arg) + 1;
    if (length + bytes > place.length) break;
    place.write(arg, length);
    length += bytes;
  }
  c.memcpy(start, place, place.length);
}

/** Gives back to the kernel what the C library holds free. */
export function returnFreeMemory(): void {
  c.mallocTrim(0);
}
