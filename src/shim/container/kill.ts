/** What a signal that could not be sent means, in the words of containerd's shim (pkg/process/utils.go checkKillError). */
import { ShimError } from "../error.ts";
import { StatusCode } from "../ttrpc/mod.ts";

export const finished = (): ShimError => new ShimError(StatusCode.NotFound, "process already finished");

/** Of a runtime's command that failed. */
export function killError(failure: Error): Error {
  const text = failure.message.toLowerCase();
  if (/process already finished|container not running|no such process/.test(text)) return finished();
  if (text.includes("does not exist")) return new ShimError(StatusCode.NotFound, "no such container");
  return new Error(`unknown error after kill: ${failure.message}`, { cause: failure });
}
