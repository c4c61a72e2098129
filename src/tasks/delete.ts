/**
 * Deleting a task: its container in the shim, then the shim, then the bundle, then the row.
 *
 * Each step may be repeated, so a deletion that a crash cut short is gone through again from the start.
 */
import { withTimeout } from "../platform/mod.ts";
import type { Exit } from "../events/catalogue.ts";
import type { Origin } from "../ledger.ts";
import type { TaskState } from "../machines/mod.ts";
import type { TaskKey } from "./bundle.ts";
import { clearAway, removeSocket, servesAnother, shutdownMsMax } from "./clear-away.ts";
import {
  causedBy,
  type Done,
  exitOf,
  processName,
  report,
  rowOf,
  seenExit,
  type TaskContext,
  taskOf,
  throwIfStopping,
  transactTask,
  unknownExit,
} from "./context.ts";
import type { LiveShim } from "./live-shims.ts";
import { mayBeDeleted } from "./shim-journal.ts";
import { isNoReply, isShimNotFound, shimFailure } from "./shim-error.ts";
import { endShimProcesses } from "./shim-process.ts";
import { TtrpcClosed } from "../shim/ttrpc/mod.ts";

/** How long the exit of a process that the deletion itself killed may take to be recorded. */
const killedExitMsMax = 500;

export interface TaskDeleted extends Done {
  readonly exit: Exit;
}

/** @throws ShiplogError Unknown "failed to delete task: cannot delete a running process", or of the shim's class */
export function deleteTask(context: TaskContext, origin: Origin, key: TaskKey): Promise<TaskDeleted> {
  return context.queue.run(processName(key), async () => {
    const intent = await transactTask(context, origin, key, (_, view) => {
      taskOf(view, key);
      return [{ type: "DeleteTask", id: key.id }];
    });
    return finishDelete(context, causedBy(origin, intent, "TaskDeleting"), key);
  });
}

/** Carries out a deletion that is recorded as begun. To be run in line with the task's other operations. */
export async function finishDelete(context: TaskContext, outcome: Origin, key: TaskKey): Promise<TaskDeleted> {
  const row = rowOf(context, key)!;
  const shim = context.shims.get(key);
  let exit: Exit;
  try {
    exit = shim === undefined ? await deleteWithoutShim(context, key, row) : await deleteWithShim(context, shim, row);
  } catch (error) {
    throwIfStopping(context);
    const failure = shimFailure(error, "failed to delete task");
    await report(context, outcome, key, () => [{ type: "RecordDeleteFailed", message: failure.message }]);
    throw failure;
  }
  context.lastExits.set(processName(key), exit);
  context.exitWatches.forgetTask(key);
  const { next } = await report(context, outcome, key, () => [{ type: "RecordDeleted", exit }]);
  return { exit, next };
}

async function deleteWithoutShim(context: TaskContext, key: TaskKey, row: TaskState): Promise<Exit> {
  const cleaned = await clearAway(context, key);
  if (row.exit !== null) return row.exit;
  await withTimeout(context.exitWatches.ended(key, ""), killedExitMsMax);
  // Where it was seen it may be recorded by now.
  const recorded = rowOf(context, key)?.exit;
  if (recorded) return recorded;
  const seen = seenExit(context, key, "", row.pid);
  if (seen !== undefined) return seen;
  return unknownExit(row.pid, cleaned === undefined ? 255 : 137, cleaned?.exitedAt ?? context.clock.now());
}

async function deleteWithShim(context: TaskContext, shim: LiveShim, row: TaskState): Promise<Exit> {
  const { key, connection } = shim;
  let exit = row.exit ?? undefined;
  try {
    const reply = await connection.delete("");
    exit ??= await killedExit(context, key, reply);
  } catch (error) {
    throwIfStopping(context);
    if (error instanceof TtrpcClosed) {
      context.shims.remove(shim);
      return deleteWithoutShim(context, key, row);
    }
    if (!isShimNotFound(error)) throw error;
    // Otherwise it was deleted before a crash that kept it from being recorded.
    if (!mayBeDeleted(context, key)) {
      context.shims.remove(shim);
      connection.close();
      return deleteWithoutShim(context, key, row);
    }
  }
  context.shims.remove(shim);
  await endConnection(context, shim);
  await context.bundles.remove(key);
  return exit ?? unknownExit(row.pid, 255, context.clock.now());
}

/** Deleting a created task kills its process; the shim's reply may come before it knows of the exit, and then its event tells it. */
async function killedExit(
  context: TaskContext,
  key: TaskKey,
  reply: { readonly pid: number; readonly exitStatus: number; readonly exitedAt: bigint | undefined },
): Promise<Exit> {
  if (reply.exitedAt !== undefined) return exitOf(context, key, "", reply.pid, reply);
  const settled = context.ledger.until(
    { kind: "task", namespace: key.namespace, key: key.id },
    () => rowOf(context, key)?.exit ?? undefined,
    AbortSignal.any([AbortSignal.timeout(killedExitMsMax), context.stopping]),
  );
  const exit = await settled.then(
    ({ value }) => value,
    () => undefined,
  );
  return exit ?? unknownExit(reply.pid, 137, context.clock.now());
}

/** Ends a shim that serves no other task: by asking, and after three seconds by force. */
async function endConnection(context: TaskContext, { key, connection }: LiveShim): Promise<void> {
  if (servesAnother(context, key, connection.endpoint.address)) {
    connection.close();
    return;
  }
  try {
    await connection.shutdown();
  } catch (error) {
    if (!isNoReply(error)) context.logger.warn({ ...key, err: error }, "shut down shim");
  }
  const ended = await withTimeout(
    connection.closed.then(() => true),
    shutdownMsMax,
  );
  connection.close();
  if (ended === undefined) {
    context.logger.warn({ ...key }, "the shim did not end when told to");
    await endShimProcesses(key, context.address, (address) => servesAnother(context, key, address));
  }
  // One that was killed could not remove it itself.
  await removeSocket(context, key, connection.endpoint.address);
}
