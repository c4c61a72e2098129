/**
 * Containers that run in a bundle and of which the log knows nothing: its files were lost, or are those of another time. No crash leaves one, for
 * each create is in the log before anything is made.
 *
 * Nothing proves that such a container was to end, so it is never ended by the way; `fsck` shows it, and ends it when told to.
 */
import { existsSync } from "node:fs";
import { processStartTime } from "../platform/mod.ts";
import { TaskStatus } from "../wire/mod.ts";
import type { TaskKey } from "./bundle.ts";
import { endpointInBundle } from "./clear-away.ts";
import type { TaskContext } from "./context.ts";
import { ShimConnection } from "./shim-connection.ts";
import { isShimNotFound } from "./shim-error.ts";
import { shimJournalOf } from "./shim-journal.ts";
import { openShimLog } from "./shim-log.ts";

/** True when the bundle's container runs, or may run, and the log has never had a task of its name. */
export async function isUnknownContainer(context: TaskContext, key: TaskKey): Promise<boolean> {
  return existsSync(context.bundles.pathOf(key)) && !(await context.hasHistory(key)) && (await mayRun(context, key));
}

/** In doubt it does. */
async function mayRun(context: TaskContext, key: TaskKey): Promise<boolean> {
  const created = shimJournalOf(context, key)?.created;
  if (created !== undefined && processStartTime(created.pid) === created.startTime) return true;
  const endpoint = await endpointInBundle(context, key);
  if (endpoint === undefined) return false;
  let connection: ShimConnection | undefined;
  try {
    connection = await ShimConnection.dial(key, endpoint, context.stopping);
  } catch {
    return false;
  }
  // A shim that had not opened its log yet when its daemon ended waits for that, and answers nothing before.
  const log = openShimLog(context.bundles.pathOf(key), context.logger.child({ ...key }));
  try {
    return (await connection.state("")).status !== TaskStatus.STOPPED;
  } catch (error) {
    return !isShimNotFound(error);
  } finally {
    log?.close();
    connection.close();
  }
}
