/** Signals that could not be sent, in the words of containerd's shim (pkg/process/utils.go checkKillError, exec.go kill). */
import { errorCode } from "../../platform/mod.ts";
import { ShimError } from "../error.ts";
import { StatusCode } from "../ttrpc/mod.ts";
import type { ContainerProcess } from "./process.ts";

export const finished = (): ShimError => new ShimError(StatusCode.NotFound, "process already finished");

/** What a runtime's command that failed means. */
export function killError(failure: Error): Error {
  const text = failure.message.toLowerCase();
  if (/process already finished|container not running|no such process/.test(text)) return finished();
  if (text.includes("does not exist")) return new ShimError(StatusCode.NotFound, "no such container");
  return new Error(`unknown error after kill: ${failure.message}`, { cause: failure });
}

/** Sends a signal to an exec. @throws ShimError, Error */
export function killExec(process: ContainerProcess, signal: number): void {
  if (process.pid === 0) throw new ShimError(StatusCode.FailedPrecondition, "process not created");
  if (process.ended !== undefined) throw finished();
  try {
    process.watch?.signal(signal);
  } catch (error) {
    if (errorCode(error) === "ESRCH")
      throw new ShimError(StatusCode.NotFound, "exec kill error: process already finished");
    throw new Error(`exec kill error: ${(error as Error).message}`, { cause: error });
  }
}
