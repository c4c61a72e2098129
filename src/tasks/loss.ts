/**
 * A shim that is gone while its task lives, and that no other can take the place of, since it is not ours or has left nothing to go on
 * from. What it held is cleared away by its `delete`, which kills the container, and recorded as lost: the exits are unknown, save for
 * those that the daemon saw itself (containerd: runtime/v2/shim.go cleanupAfterDeadShim).
 *
 * Whether a shim is gone is not decided here: the caller must know it.
 */
import type { Exit } from "../events/catalogue.ts";
import { openIntents, type TaskCommand, type TaskState } from "../machines/mod.ts";
import type { TaskKey } from "./bundle.ts";
import { clearAway } from "./clear-away.ts";
import { ownOrigin, report, rowOf, seenExit, type TaskContext, unknownExit } from "./context.ts";

/** Clears away what a shim that is gone has left, and records what that means for its task. */
export async function recordLoss(context: TaskContext, key: TaskKey, message: string): Promise<void> {
  const cleaned = await clearAway(context, key);
  const now = context.clock.now();
  const status = cleaned === undefined ? 255 : 137;
  await report(context, ownOrigin(context, key), key, (row) =>
    row === undefined
      ? []
      : lossCommands(row, message, (execId, processId) => {
          return seenExit(context, key, execId, processId) ?? unknownExit(processId, status, cleaned?.exitedAt ?? now);
        }),
  );
  context.exitWatches.forgetTask(key);
}

/** The whole loss as one append: open intents closed, then the execs' exits, then init's, and the deletion where one was begun. */
function lossCommands(row: TaskState, message: string, exitOf: (execId: string, pid: number) => Exit): TaskCommand[] {
  if (row.status === "creating") return [{ type: "RecordCreateFailed", message }];
  const intents = openIntents(row);
  const commands: TaskCommand[] = [];
  if (intents.start) commands.push({ type: "RecordStartFailed", message });
  for (const execId of intents.execStarts) commands.push({ type: "RecordExecStartFailed", execId, message });
  for (const signal of intents.signals) commands.push({ type: "RecordSignalFailed", ...signal, message });
  if (intents.checkpoint) commands.push({ type: "RecordCheckpointFailed", message });
  if (row.shim !== null) commands.push({ type: "RecordShimLost", message });
  for (const [execId, exec] of Object.entries(row.execs)) {
    if (exec.status === "running") commands.push({ type: "RecordExecExited", execId, exit: exitOf(execId, exec.pid) });
  }
  const exit = row.exit ?? exitOf("", row.pid);
  if (row.exit === null) commands.push({ type: "RecordExited", exit });
  if (intents.delete) commands.push({ type: "RecordDeleted", exit });
  return commands;
}

/** True when there is nothing about this row that a lost shim would change. */
export function isSettled(context: TaskContext, key: TaskKey): boolean {
  const row = rowOf(context, key);
  return row === undefined || lossCommands(row, "", (_, pid) => unknownExit(pid, 255, 0n)).length === 0;
}
