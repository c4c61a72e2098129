/**
 * Runs of the OCI runtime that a dead shim has left: they may still make a container or a process that nobody would know of.
 *
 * Owns finding them, by the log that each run was given in its container's bundle, and ending them.
 */
import { readdirSync, readFileSync } from "node:fs";
import { errorCode, watchExit } from "../../platform/mod.ts";

const SIGKILL = 9;

/** How long a killed run may take to be gone. */
const endMsMax = 5_000;

/** Ends what still runs for the bundle, with all of its process group. Resolves when it is gone, or its time is up. */
export async function endRuntimesOf(bundle: string): Promise<void> {
  await Promise.all(runtimesOf(bundle).map(end));
}

function runtimesOf(bundle: string): number[] {
  const isRun = (args: readonly string[]) =>
    args.some((arg, index) => arg.startsWith(`${bundle}/runtime-log-`) && args[index - 1] === "--log");
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && isRun(argumentsOf(pid)));
}

function argumentsOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch (thrown) {
    if (errorCode(thrown) === "ENOENT" || errorCode(thrown) === "ESRCH") return [];
    throw thrown;
  }
}

async function end(pid: number): Promise<void> {
  const watch = watchExit(pid);
  try {
    // The group first: once its leader is gone the number says nothing.
    process.kill(-pid, SIGKILL);
    watch.signal(SIGKILL);
  } catch (thrown) {
    if (errorCode(thrown) !== "ESRCH") throw thrown;
  }
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, endMsMax);
  });
  await Promise.race([watch.exit, late]);
  clearTimeout(timer);
  watch.close();
}
