/**
 * The log in which the OCI runtime says why a command failed: one file for each run of a command, so that no run is given the reasons of another.
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

let runs = 0;

/** A path for the log of one run; nothing is made there. */
export const runtimeLogPath = (bundle: string): string => join(bundle, `runtime-log-${process.pid}-${runs++}.json`);

/** Removes the log; there may be none. */
export function removeRuntimeLog(path: string): void {
  rmSync(path, { force: true });
}

/**
 * Why a run failed, in the words of containerd's shim (pkg/process/init.go runtimeError): the last error in its log, or what is known without one.
 * `failure` is how the run itself ended.
 */
export function reasonOf(path: string, failure: Error): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return `unable to retrieve OCI runtime error (open ${path}: no such file or directory): ${failure.message}`;
  }
  return lastError(text) ?? failure.message;
}

/** The last error in a log of JSON lines, or undefined when there is none. */
function lastError(text: string): string | undefined {
  for (const line of text.split("\n").reverse()) {
    try {
      const { level, msg } = JSON.parse(line) as { level?: unknown; msg?: unknown };
      if (level === "error" && typeof msg === "string" && msg.trim() !== "") return msg.trim();
    } catch {
      // The end of the file, or a line cut short by the end of a runtime that was killed.
    }
  }
  return undefined;
}
