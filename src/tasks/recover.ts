/**
 * Start-up after a stop or a crash: every row is held against what is true, every open intent is closed, and what no row owns
 * is cleared away.
 *
 * A shim is ended here only when no row owns its task. Rows come before leftovers, for a shim may serve both.
 */
import type { ShimEndpoint } from "../events/catalogue.ts";
import type { TaskState } from "../machines/mod.ts";
import { takeOver } from "./adopt.ts";
import type { TaskKey } from "./bundle.ts";
import { clearAway, endpointInBundle } from "./clear-away.ts";
import { ownOrigin, processName, report, rowOf, type TaskContext } from "./context.ts";
import { finishDelete } from "./delete.ts";
import { isSettled } from "./loss.ts";
import { isUnknownContainer } from "./unknown-container.ts";
import { ShimConnection } from "./shim-connection.ts";
import { endStartCommands } from "./shim-process.ts";
import { isShimNotFound } from "./shim-error.ts";
import { openShimLog } from "./shim-log.ts";

/** Tasks that are recovered at once. */
export const recoveriesMax = 16;

/** How long a shim may take to tell of a container that it may just be creating. */
const createdMsMax = 30_000;

const interrupted = "the daemon ended before the task was created";

/** Resolves when every task's truth is recorded, save those of shims that are there but do not answer. */
export async function recoverTasks(context: TaskContext): Promise<void> {
  const rows = [...context.ledger.view.tasks.all()].map(({ namespace, key: id }) => ({ namespace, id }));
  await forEach(context, rows, (key) => recoverTask(context, key));
  const leftovers = (await context.bundles.list()).filter((key) => rowOf(context, key) === undefined);
  await forEach(context, leftovers, async (key) => {
    if (await isUnknownContainer(context, key)) {
      context.logger.error(
        { ...key },
        "a container runs that the log knows nothing of; it is left alone, and fsck shows it",
      );
      return;
    }
    context.logger.warn({ ...key }, "clear away a bundle that no task owns");
    await clearAway(context, key);
  });
  await context.bundles.sweep();
}

/** One task that cannot be recovered does not keep the others from it. */
async function forEach(
  context: TaskContext,
  keys: readonly TaskKey[],
  recover: (key: TaskKey) => Promise<void>,
): Promise<void> {
  const waiting = [...keys];
  const work = async () => {
    for (let key = waiting.shift(); key !== undefined; key = waiting.shift()) {
      const current = key;
      try {
        await context.queue.run(processName(current), () => recover(current));
      } catch (error) {
        context.logger.error({ ...current, err: error }, "recover task");
      }
    }
  };
  await Promise.all(Array.from({ length: recoveriesMax }, work));
}

async function recoverTask(context: TaskContext, key: TaskKey): Promise<void> {
  const row = rowOf(context, key);
  if (row === undefined) return;
  if (row.status === "creating") return recoverCreating(context, key);
  if (row.shim === null) return recoverWithoutShim(context, key, row);
  return takeOver(context, key);
}

/** Its shim was lost before: a deletion can be open, or the end of what a loss begins, or no shim has come in its place yet. */
async function recoverWithoutShim(context: TaskContext, key: TaskKey, row: TaskState): Promise<void> {
  if (row.status === "deleting") await finishDelete(context, ownOrigin(context, key), key);
  else if (!isSettled(context, key)) await takeOver(context, key);
}

/**
 * The daemon ended somewhere between the intent and its outcome. `start` may still run and be about to begin a shim, so it is
 * ended first: from then on there is a shim or there is none. A container that the shim has created is the client's; it is
 * kept, for the next call to find.
 */
async function recoverCreating(context: TaskContext, key: TaskKey): Promise<void> {
  await endStartCommands(key, context.address);
  const endpoint = await endpointInBundle(context, key);
  // A shim that had not opened its log yet when the daemon ended waits for that.
  const log = openShimLog(context.bundles.pathOf(key), context.logger.child({ ...key }));
  const pid = endpoint === undefined ? undefined : await createdPid(context, key, endpoint);
  log?.close();
  if (endpoint === undefined || pid === undefined) {
    await clearAway(context, key);
    await report(context, ownOrigin(context, key), key, () => [{ type: "RecordCreateFailed", message: interrupted }]);
    return;
  }
  await report(context, ownOrigin(context, key), key, () => [{ type: "RecordCreated", pid, shim: endpoint }]);
  return takeOver(context, key);
}

/** The pid of the container's init process; undefined when there is no shim, no answer, or no container in it. */
async function createdPid(context: TaskContext, key: TaskKey, endpoint: ShimEndpoint): Promise<number | undefined> {
  let connection: ShimConnection | undefined;
  try {
    connection = await ShimConnection.dial(key, endpoint, context.stopping);
    return (await connection.state("", createdMsMax)).pid;
  } catch (error) {
    if (!isShimNotFound(error))
      context.logger.warn({ ...key, err: error }, "ask the shim of a task that was being created");
    return undefined;
  } finally {
    connection?.close();
  }
}
