/**
 * Naming a process so that it cannot be mistaken for a later one with the same number: by a descriptor (pidfd), or by its number together
 * with its start time. Owns neither spawning nor waiting.
 */
import { readFileSync } from "node:fs";
import { errorCode } from "./errno.ts";
import { kernelCall, libc } from "./kernel.ts";
import { type OperationHook, proceed } from "./operation.ts";

const pidfdOpenCall = libc.func("syscall", "long", ["long", "int", "unsigned int"]);
const SYS_PIDFD_OPEN = 434;

/** A descriptor that stands for process `pid` and becomes readable when it ends. Close it with `closeDescriptor`. @throws KernelError, ESRCH when there is no such process */
export function pidfdOpen(pid: number, hook: OperationHook = proceed): number {
  return kernelCall("pidfd_open", hook, { path: String(pid) }, () => pidfdOpenCall(SYS_PIDFD_OPEN, pid, 0));
}

/**
 * When process `pid` started, in clock ticks since boot (field 22 of /proc/PID/stat, proc(5)), or undefined when there is no such process.
 * Two processes with the same number never have the same start time.
 */
export function processStartTime(pid: number, hook: OperationHook = proceed): number | undefined {
  hook("process.stat");
  try {
    return startTimeOf(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch (thrown) {
    // ESRCH: the process ended between open and read.
    if (errorCode(thrown) === "ENOENT" || errorCode(thrown) === "ESRCH") return undefined;
    throw thrown;
  }
}

/** The start time in the text of a stat file. The command name may itself hold spaces and brackets, so fields count from its last one. */
export function startTimeOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[22 - 3]);
  if (!Number.isSafeInteger(ticks)) throw new Error(`read start time of a process: no such field in '${stat.trim()}'`);
  return ticks;
}
