/**
 * Exits. A process's exit is learned from two sides, the daemon's Wait and the shim's event, and recorded once: whichever comes
 * first is settled, the other finds it settled.
 *
 * Owns the order of exits: those of a task's execs come before init's, in the same append. It must never record an exit that
 * nobody reported as known.
 */
import { withTimeout } from "../platform/mod.ts";
import type { Exit } from "../events/catalogue.ts";
import type { Origin } from "../ledger.ts";
import type { ExecState, TaskCommand } from "../machines/mod.ts";
import { TaskStatus } from "../wire/mod.ts";
import type { TaskKey } from "./bundle.ts";
import {
  execOf,
  exitOf,
  processName,
  report,
  rowOf,
  seenExit,
  shimOrigin,
  type TaskContext,
  unknownExit,
} from "./context.ts";
import type { LiveShim } from "./live-shims.ts";
import type { ProcessExit } from "./shim-connection.ts";
import { isNoReply } from "./shim-error.ts";

/**
 * How long an exit waits for the reply to the start of its own process. The two cross on the wire when a process ends at once;
 * the shim itself holds the exit back until the start is done.
 */
const startReplyMsMax = 1_000;

/** How long init's exit waits for those of execs that still run. The kernel kills them with init; the shim has to reap them. */
const execExitMsMax = 1_000;

/** Asks the shim to tell when init ends, and settles it then; the daemon keeps an eye on it too. */
export function watchInit(context: TaskContext, shim: LiveShim): void {
  context.exitWatches.watch(shim.key, "", rowOf(context, shim.key)?.pid ?? 0);
  shim.connection.wait("").then(
    (exit) => settleInit(context, shim.key, exit),
    (error: unknown) => logUnlessLost(context, shim, error),
  );
}

export function watchExec(context: TaskContext, shim: LiveShim, execId: string): void {
  const row = rowOf(context, shim.key);
  context.exitWatches.watch(shim.key, execId, (row && execOf(row, execId)?.pid) ?? 0);
  shim.connection.wait(execId).then(
    (exit) => settleExec(context, shim.key, execId, exit),
    (error: unknown) => logUnlessLost(context, shim, error),
  );
}

/** The end of the connection is settled as a loss; any other failure leaves the exit to the shim's event. */
function logUnlessLost({ logger }: TaskContext, { key }: LiveShim, error: unknown): void {
  if (!isNoReply(error)) logger.warn({ ...key, err: error }, "wait for exit");
}

/** Records init's exit, after those of the execs that end with it. Resolves when it is durable; later reports change nothing. */
export function settleInit(context: TaskContext, key: TaskKey, exit: ProcessExit): Promise<void> {
  return once(context, processName(key), async () => {
    await startReplied(context, key, "");
    const row = rowOf(context, key);
    if (row === undefined || row.status === "creating" || row.exit !== null) return;
    // While there is no connection nobody can tell how the execs ended; taking the shim over will find this exit too.
    if (row.shim !== null && context.shims.get(key) === undefined) return;
    const running = Object.entries(row.execs).filter(([, { status }]) => status === "running" || status === "starting");
    const exits = await execExits(context, key, running);
    // The connections are closed then, and that an exec's exit could not be asked for says nothing about it.
    if (context.stopping.aborted) return;
    await report(context, originOf(context, key), key, (now) => {
      if (now === undefined || now.exit !== null) return [];
      const ended = exitOf(context, key, "", now.pid, exit);
      return [...execCommands(now.execs, exits, ended.exitedAt), { type: "RecordExited", exit: ended }];
    });
    context.exitWatches.forget(key, "");
  });
}

/**
 * Records an exec's exit. `pid` is the one reported with it, needed where the reply to its start has not come, and to tell it from an earlier exec of
 * its name.
 */
export function settleExec(
  context: TaskContext,
  key: TaskKey,
  execId: string,
  exit: ProcessExit,
  pid = 0,
): Promise<void> {
  return once(context, processName(key, execId), async () => {
    await startReplied(context, key, execId);
    await report(context, originOf(context, key), key, (row) => {
      const exec = row && execOf(row, execId);
      if (exec === undefined || exec.status === "added" || exec.exit !== null || isOfAnother(exec.pid, pid)) return [];
      return [{ type: "RecordExecExited", execId, exit: exitOf(context, key, execId, exec.pid || pid, exit) }];
    });
    context.exitWatches.forget(key, execId);
  });
}

/** True when a report about process `told` is not about process `known`: one of them is an earlier one of the same name. */
export const isOfAnother = (known: number, told: number): boolean => known !== 0 && told !== 0 && known !== told;

/** The exits of execs that end with their task. Those that nobody can tell are stated as unknown. */
export function execCommands(
  execs: Readonly<Record<string, ExecState>>,
  exits: ReadonlyMap<string, Exit | undefined>,
  exitedAt: bigint,
): TaskCommand[] {
  return Object.entries(execs).flatMap(([execId, exec]): TaskCommand[] => {
    if (exec.status !== "running" && exec.status !== "starting") return [];
    const exit = exits.get(execId);
    if (exit !== undefined) return [{ type: "RecordExecExited", execId, exit }];
    // Its start is still under way, and the reply will say that it failed.
    if (exec.status === "starting") return [];
    return [{ type: "RecordExecExited", execId, exit: unknownExit(exec.pid, 255, exitedAt) }];
  });
}

async function execExits(
  context: TaskContext,
  key: TaskKey,
  execs: readonly (readonly [string, ExecState])[],
): Promise<Map<string, Exit | undefined>> {
  const shim = context.shims.get(key);
  const exits = execs.map(async ([execId, exec]) => {
    if (shim === undefined) {
      await withTimeout(context.exitWatches.ended(key, execId), execExitMsMax);
      return [execId, seenExit(context, key, execId, exec.pid)] as const;
    }
    try {
      let { pid } = exec;
      if (exec.status === "starting") {
        // Wait would answer for one that could not be started too, with an exit that never was.
        const state = await shim.connection.state(execId, execExitMsMax);
        if (state.status === TaskStatus.CREATED || state.pid === 0) return [execId, undefined] as const;
        pid = state.pid;
      }
      return [execId, exitOf(context, key, execId, pid, await shim.connection.wait(execId, execExitMsMax))] as const;
    } catch (error) {
      context.logger.warn({ ...key, execId, err: error }, "exit of an exec that ends with its task");
      return [execId, undefined] as const;
    }
  });
  return new Map(await Promise.all(exits));
}

async function startReplied({ starting }: TaskContext, key: TaskKey, execId: string): Promise<void> {
  const start = starting.get(processName(key, execId));
  if (start !== undefined) await withTimeout(start, startReplyMsMax);
}

/** Runs one settlement per process at a time; a second report waits for the first. */
async function once(context: TaskContext, name: string, settle: () => Promise<void>): Promise<void> {
  const { settling, logger } = context;
  const running = settling.get(name);
  if (running !== undefined) return running;
  const settled = settle()
    .catch((error: unknown) => logger.error({ process: name, err: error }, "settle exit"))
    .finally(() => settling.delete(name));
  settling.set(name, settled);
  return settled;
}

function originOf(context: TaskContext, key: TaskKey): Origin {
  return shimOrigin(context, key, context.shims.get(key)?.shimPid ?? 0);
}
