/**
 * What is on the machine of tasks that the tables do not know: bundles, shim processes, and what runc still holds. Owns the proof that each is
 * this daemon's: the bundle's place, the shim's command line, the bundle that runc's state names. Of anything else it must keep its hands.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { errorCode, runProgram } from "../platform/mod.ts";
import type { TaskKey } from "./bundle.ts";
import { clearAway, servesAnother } from "./clear-away.ts";
import { processName, rowOf, type TaskContext } from "./context.ts";
import { allShimProcesses, endProcess } from "./shim-process.ts";

/** Where containerd's runc shim keeps runc's states when no option says otherwise, a directory per namespace. */
const runcRoot = "/run/containerd/runc";

export interface Stray {
  readonly kind: "bundle" | "shim" | "runtime state";
  readonly key: TaskKey;
  /** A path, or a process's number. */
  readonly place: string;
  readonly pid?: number;
  /** Names the process together with its number. */
  readonly startTime?: number;
}

export async function findStrays(context: TaskContext): Promise<Stray[]> {
  const isStray = (key: TaskKey) => rowOf(context, key) === undefined && !context.queue.isBusy(processName(key));
  const bundles = (await context.bundles.list()).map(
    (key): Stray => ({ kind: "bundle", key, place: context.bundles.pathOf(key) }),
  );
  const states = await runtimeStates(context);
  const shims = allShimProcesses(context.address)
    // A shim of a group goes on for others when the task that it was started for has ended.
    .filter(({ key, listensAt }) => !listensAt.some((address) => servesAnother(context, key, address)))
    .map(({ key, pid, startTime }): Stray => ({ kind: "shim", key, place: String(pid), pid, startTime }));
  return [...shims, ...states, ...bundles].filter(({ key }) => isStray(key));
}

/** Removes it, unless a task of that name has come since. */
export async function clearStray(context: TaskContext, { kind, key, pid, startTime }: Stray): Promise<void> {
  await context.queue.run(processName(key), async () => {
    if (rowOf(context, key) !== undefined) return;
    switch (kind) {
      case "bundle":
        await clearAway(context, key);
        return;
      case "shim":
        if (pid !== undefined && startTime !== undefined && !(await endProcess({ pid, startTime })))
          throw new Error(`process ${pid} does not end`);
        return;
      case "runtime state":
        await runProgram("stray.runcDelete", "runc", [
          "--root",
          join(runcRoot, key.namespace),
          "delete",
          "--force",
          key.id,
        ]);
        return;
      default:
        kind satisfies never;
    }
  });
}

/** The states of runc that name one of our bundles. */
async function runtimeStates({ bundles }: TaskContext): Promise<Stray[]> {
  const found: Stray[] = [];
  for (const namespace of await namesIn(runcRoot)) {
    for (const id of await namesIn(join(runcRoot, namespace))) {
      const place = join(runcRoot, namespace, id);
      const key = { namespace, id };
      if (await namesBundle(join(place, "state.json"), bundles.pathOf(key)))
        found.push({ kind: "runtime state", key, place });
    }
  }
  return found;
}

async function namesBundle(file: string, bundle: string): Promise<boolean> {
  try {
    const { config } = JSON.parse(await readFile(file, "utf8")) as { config?: { labels?: readonly unknown[] | null } };
    return config?.labels?.includes(`bundle=${bundle}`) ?? false;
  } catch (error) {
    // Gone meanwhile, or being written.
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR" || error instanceof SyntaxError) return false;
    throw error;
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return [];
    throw error;
  }
}
