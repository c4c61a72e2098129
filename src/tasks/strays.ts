/**
 * What is on the machine of tasks that the tables do not know: bundles, shim processes, and what runc still holds. Owns the proof that each is
 * this daemon's: the bundle's place, the shim's command line, the bundle that runc's state names. Of anything else it must keep its hands.
 */
import { readdir, readFile } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { errorCode, runProgram } from "../platform/mod.ts";
import { runc } from "../wire/mod.ts";
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
  /** Of runc's state: where it keeps those of the namespace. */
  readonly root?: string;
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
export async function clearStray(context: TaskContext, { kind, key, root, pid, startTime }: Stray): Promise<void> {
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
        if (root !== undefined)
          await runProgram("stray.runcDelete", "runc", ["--root", root, "delete", "--force", key.id]);
        return;
      default:
        kind satisfies never;
    }
  });
}

/** The states of runc that name one of our bundles. */
async function runtimeStates(context: TaskContext): Promise<Stray[]> {
  const found: Stray[] = [];
  for (const states of await runtimeRoots(context)) {
    for (const namespace of await namesIn(states)) {
      const root = join(states, namespace);
      for (const id of await namesIn(root)) {
        const place = join(root, id);
        const key = { namespace, id };
        if (await namesBundle(join(place, "state.json"), context.bundles.pathOf(key)))
          found.push({ kind: "runtime state", key, place, root });
      }
    }
  }
  return found;
}

/** Where the options of any task, container or bundle have runc keep its states, and where it does without. */
async function runtimeRoots({ ledger: { view }, bundles }: TaskContext): Promise<ReadonlySet<string>> {
  const roots = new Set([runcRoot]);
  const add = (root: unknown) => {
    if (typeof root === "string" && isAbsolute(root)) roots.add(root);
  };
  const options = [
    ...[...view.tasks.all()].map(({ row }) => row.options),
    ...[...view.containers.all()].map(({ row }) => row.runtime.options),
  ];
  for (const each of options) if (each?.typeUrl === "containerd.runc.v1.Options") add(rootOf(each.value));
  // The shim's copy, which is there also when no record is any more.
  for (const key of await bundles.list()) add(parsed(await bundles.read(key, "options.json"))?.root);
  return roots;
}

/** What is no message of options was refused by the shim as well. */
function rootOf(bytes: Uint8Array): string | undefined {
  try {
    return runc.Options.decode(bytes).root;
  } catch {
    return undefined;
  }
}

function parsed(text = "null"): { readonly root?: unknown } | null {
  try {
    return JSON.parse(text) as { readonly root?: unknown } | null;
  } catch {
    // Being written.
    return null;
  }
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
