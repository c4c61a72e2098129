/**
 * Learning of a process's end, whoever its parent is: by a pidfd that becomes readable.
 *
 * Owns the pidfd of each watch. A child is reaped as it ends. Of another's child the code is read while it is a zombie, or else asked of the
 * kernel, which keeps it for those who had a pidfd before the end (PIDFD_GET_INFO, Linux 6.15). Where neither is to be had, the end is
 * known and the code is not.
 */
import { readFileSync } from "node:fs";
import { closeDescriptor } from "./at.ts";
import { errorCode, kernelError } from "./errno.ts";
import { kernelCall, libc } from "./kernel.ts";
import { type OperationHook, proceed } from "./operation.ts";
import { openPoll, PollEvent } from "./poll.ts";
import { pidfdOpen, processStartTime, startTimeOf } from "./process.ts";
import { exitStatusOf, reap } from "./reap.ts";

export interface ProcessExit {
  /** The exit code, or 128 and the number of the signal; 255 when it is not known. */
  readonly exitStatus: number;
  readonly known: boolean;
}

export interface ExitWatch {
  /** Resolves in the turn of the event loop in which the end is noticed. Never rejects; never settles once the watch is closed. */
  readonly exit: Promise<ProcessExit>;
  /** Sends a signal to this very process. @throws KernelError, ESRCH when it has ended */
  signal(number: number): void;
  /** Watches no more; a child that has not ended stays unreaped. Calling it again, or after the end, does nothing. */
  close(): void;
}

const unknownExit: ProcessExit = { exitStatus: 255, known: false };

const ioctl = libc.func("int ioctl(int, unsigned long, void *)");
const pidfdSendSignal = libc.func("syscall", "long", ["long", "int", "int", "void *", "unsigned int"]);
const SYS_PIDFD_SEND_SIGNAL = 424;
const ESRCH = 3;

/** _IOWR(0xFF, 11, struct pidfd_info) with the 64 bytes of the structure's first version (linux/pidfd.h). */
const PIDFD_GET_INFO = 0xc040ff0b;
const PIDFD_INFO_EXIT = 8n;
const infoBytes = 64;
const exitCodeOffset = 60;

/**
 * Watches process `pid`. A start time (as `processStartTime` gives it) tells it from a later process with the same number; when it is another
 * one, or there is none, the exit is at once one that is not known.
 * @throws KernelError, other than for a process that is gone
 */
export function watchExit(pid: number, startTime?: number, hook: OperationHook = proceed): ExitWatch {
  const pidfd = pidfdIfAny(pid, hook);
  if (pidfd === undefined) return ended;
  const started = processStartTime(pid, hook);
  if (started === undefined || (startTime !== undefined && started !== startTime)) {
    closeDescriptor(pidfd);
    return ended;
  }
  const { promise, resolve } = Promise.withResolvers<ProcessExit>();
  let isClosed = false;
  const close = () => {
    if (isClosed) return;
    isClosed = true;
    poll.close();
    closeDescriptor(pidfd);
  };
  const poll = openPoll(pidfd, () => {
    const exit = exitOf(pid, started, pidfd, hook);
    close();
    resolve(exit);
  });
  poll.start(PollEvent.Readable);
  return {
    exit: promise,
    signal(number) {
      const subject = { path: String(pid) };
      if (isClosed) throw kernelError(ESRCH, "pidfd_send_signal", subject);
      kernelCall("pidfd_send_signal", hook, subject, () =>
        pidfdSendSignal(SYS_PIDFD_SEND_SIGNAL, pidfd, number, null, 0),
      );
    },
    close,
  };
}

/** The watch of a process that is gone. */
const ended: ExitWatch = {
  exit: Promise.resolve(unknownExit),
  signal() {
    throw kernelError(ESRCH, "pidfd_send_signal");
  },
  close() {},
};

function pidfdIfAny(pid: number, hook: OperationHook): number | undefined {
  try {
    return pidfdOpen(pid, hook);
  } catch (thrown) {
    if (errorCode(thrown) === "ESRCH") return undefined;
    throw thrown;
  }
}

function exitOf(pid: number, startTime: number, pidfd: number, hook: OperationHook): ProcessExit {
  const exitStatus = reapIfChild(pid, hook) ?? zombieExitStatus(pid, startTime, hook) ?? exitStatusByPidfd(pidfd, hook);
  return exitStatus === undefined ? unknownExit : { exitStatus, known: true };
}

function reapIfChild(pid: number, hook: OperationHook): number | undefined {
  try {
    return reap(pid, hook);
  } catch (thrown) {
    if (errorCode(thrown) === "ECHILD") return undefined;
    throw thrown;
  }
}

/** The code of a process that its parent has not reaped yet: field 52 of /proc/PID/stat (proc(5)). */
function zombieExitStatus(pid: number, startTime: number, hook: OperationHook): number | undefined {
  hook("process.stat");
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    if (startTimeOf(stat) !== startTime) return undefined;
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? exitStatusOf(Number(fields[52 - 3])) : undefined;
  } catch (thrown) {
    if (errorCode(thrown) === "ENOENT" || errorCode(thrown) === "ESRCH") return undefined;
    throw thrown;
  }
}

/** The code of a process that has been reaped; undefined while it has not, and on a kernel that does not tell. */
export function exitStatusByPidfd(pidfd: number, hook: OperationHook = proceed): number | undefined {
  const info = Buffer.alloc(infoBytes);
  info.writeBigUInt64LE(PIDFD_INFO_EXIT);
  try {
    kernelCall("pidfd_get_info", hook, {}, () => ioctl(pidfd, PIDFD_GET_INFO, info));
  } catch {
    // Kernels before 6.13 have no such call, and from 6.13 to 6.14 it knows nothing of a process that was reaped.
    return undefined;
  }
  return (info.readBigUInt64LE() & PIDFD_INFO_EXIT) === 0n ? undefined : exitStatusOf(info.readInt32LE(exitCodeOffset));
}
