/**
 * Children that are not libuv's: containers' processes, which fall to this process as their subreaper when the runtime that made them is gone.
 *
 * Owns waitpid for one named process at a time. It must never wait for any child: that would take libuv's own from it.
 */
import { readdirSync, readFileSync } from "node:fs";
import { errorCode } from "./errno.ts";
import { kernelCall, libc } from "./kernel.ts";
import { type OperationHook, proceed } from "./operation.ts";
import { startTimeOf } from "./process.ts";

const waitpid = libc.func("int waitpid(int, void *, int)");
const prctl = libc.func("int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)");

const WNOHANG = 1;
const PR_SET_CHILD_SUBREAPER = 36;

const status = new Int32Array(1);

/** What waitpid's word says as containerd has it: the exit code, or 128 and the signal's number. */
export function exitStatusOf(word: number): number {
  const signal = word & 0x7f;
  return signal === 0 ? (word >> 8) & 0xff : 128 + signal;
}

/**
 * Takes the exit of child `pid` if it has ended: the exit code, or 128 and the number of the signal that ended it. Undefined while it runs.
 * @throws KernelError, ECHILD for a process that is no child of this one, or was reaped before
 */
export function reap(pid: number, hook: OperationHook = proceed): number | undefined {
  if (pid <= 0) throw new RangeError(`reap process ${pid}: not a process id`);
  const answered = kernelCall("waitpid", hook, { path: String(pid) }, () => waitpid(pid, status, WNOHANG));
  return answered === 0 ? undefined : exitStatusOf(status[0]!);
}

/** From now on, processes below this one whose parent ends become its children. @throws KernelError */
export function becomeSubreaper(hook: OperationHook = proceed): void {
  kernelCall("prctl", hook, {}, () => prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
}

export interface ZombieChild {
  readonly pid: number;
  /** As `processStartTime` gives it. */
  readonly startTime: number;
}

/** Children of this process that have ended and wait to be reaped, libuv's own among them. */
export function zombieChildren(hook: OperationHook = proceed): readonly ZombieChild[] {
  hook("process.children");
  const zombies: ZombieChild[] = [];
  for (const thread of readdirSync("/proc/self/task")) {
    for (const pid of (readIfAny(`/proc/self/task/${thread}/children`) ?? "").split(" ")) {
      const stat = pid === "" ? undefined : readIfAny(`/proc/${pid}/stat`);
      if (stat?.[stat.lastIndexOf(")") + 2] === "Z") zombies.push({ pid: Number(pid), startTime: startTimeOf(stat) });
    }
  }
  return zombies;
}

/** A file below /proc, or undefined when what it tells of has ended. */
function readIfAny(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch (thrown) {
    if (errorCode(thrown) === "ENOENT" || errorCode(thrown) === "ESRCH") return undefined;
    throw thrown;
  }
}
