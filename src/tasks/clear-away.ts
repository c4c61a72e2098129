/**
 * Clearing away what is left of a task that has no live row or whose shim is lost: the shim's processes, what the runtime still
 * holds, mounts, the bundle and the shim's socket.
 *
 * It must never end a shim that serves another task. Every step goes on where the one before failed; what could not be removed
 * is logged, and found again at the next start.
 */
import { ErrorClass, ShiplogError } from "../error.ts";
import type { ShimEndpoint } from "../events/catalogue.ts";
import { processStartTime, removeEmptyCgroup, withTimeout } from "../platform/mod.ts";
import { removeUnlessServed } from "../shim/program/mod.ts";
import type { TaskKey } from "./bundle.ts";
import { type TaskContext, rowOf } from "./context.ts";
import type { CleanedUp } from "./launch.ts";
import { resolveRuntimePath } from "./runtime-path.ts";
import { ShimConnection } from "./shim-connection.ts";
import { shimJournalOf } from "./shim-journal.ts";
import { openShimLog } from "./shim-log.ts";
import { endProcess, endShimProcesses, isShimOf } from "./shim-process.ts";

const unixPrefix = "unix://";

/** How long a shim that was told to shut down may take; as io.containerd.timeout.shim.shutdown. */
export const shutdownMsMax = 3_000;

/** How long a container in a shared shim may take to end when it is killed. */
const killMsMax = 2_000;

/** How often it is tried to clear away a container that runs on. */
const cleanUpsMax = 3;

/**
 * Clears all of it away; the result of the shim's `delete` where it ran. `connection` is the shim's where there is one, and is
 * closed. Nothing there is no error.
 */
export async function clearAway(
  context: TaskContext,
  key: TaskKey,
  connection?: ShimConnection,
): Promise<CleanedUp | undefined> {
  const { bundles, logger } = context;
  context.heldOutput.release(key);
  const binary = await shimBinaryOf(context, key);
  const endpoint = connection?.endpoint ?? (await endpointInBundle(context, key));
  const isOwn = binary === context.runtimePath.ownShim;
  if (endpoint !== undefined) await endShim(context, key, endpoint, connection, isOwn);
  await endShimProcesses(key, context.address, (address) => servesAnother(context, key, address));
  if (endpoint !== undefined) await removeSocket(context, key, endpoint.address);
  const cleaned = binary === undefined ? undefined : await cleanUp(context, key, binary);
  try {
    await removeCgroup(context, key);
    await bundles.remove(key);
  } catch (error) {
    logger.warn({ ...key, err: error }, "remove bundle");
  }
  return cleaned;
}

/**
 * Runs the shim's `delete`. It fails while another shim is just taking the container over, as one may that an earlier daemon has asked to; what is
 * cleared away must not run on for that.
 */
async function cleanUp(context: TaskContext, key: TaskKey, binary: string): Promise<CleanedUp | undefined> {
  const { bundles, launcher, logger } = context;
  for (let attempt = 1; ; attempt++) {
    try {
      return await launcher.delete(binary, key, bundles.pathOf(key));
    } catch (error) {
      // Also the normal case of a task that never got as far as the runtime.
      logger.debug({ ...key, err: error }, "clean up after shim");
    }
    const created = shimJournalOf(context, key)?.created;
    if (created === undefined || processStartTime(created.pid) !== created.startTime || attempt === cleanUpsMax)
      return undefined;
    logger.warn({ ...key }, "the container runs on after it was cleared away; it is killed");
    await endProcess(created);
  }
}

/**
 * A shim whose daemon goes away kills the runtime that is creating a container, which may then have made a cgroup but no state that
 * `delete` could find it by. With systemd as the driver the path has colons, and systemd removes what is empty.
 */
async function removeCgroup({ bundles }: TaskContext, key: TaskKey): Promise<void> {
  const written = await bundles.read(key, "config.json");
  if (written === undefined) return;
  const spec = JSON.parse(written) as { readonly linux?: { readonly cgroupsPath?: unknown } };
  const path = spec.linux?.cgroupsPath ?? key.id;
  if (typeof path === "string" && !path.includes(":")) await removeEmptyCgroup(path);
}

/** Where the bundle's shim listens: as its `start` wrote it, or as it was written down here. */
export async function endpointInBundle({ bundles }: TaskContext, key: TaskKey): Promise<ShimEndpoint | undefined> {
  const written = await bundles.read(key, "bootstrap.json");
  if (written !== undefined) {
    const { address, version } = JSON.parse(written) as { address?: unknown; version?: unknown };
    if (typeof address === "string" && typeof version === "number") return { address, version };
  }
  const address = await bundles.read(key, "address");
  return address === undefined ? undefined : { address: address.trim(), version: 2 };
}

/** The binary that was started for the bundle, or that the row's runtime stands for; undefined when there is no bundle to run it in. */
async function shimBinaryOf(context: TaskContext, key: TaskKey): Promise<string | undefined> {
  if ((await context.bundles.read(key, "config.json")) === undefined) return undefined;
  const written = await context.bundles.read(key, "shim-binary-path");
  if (written !== undefined) return written;
  const row = rowOf(context, key);
  if (row === undefined) return undefined;
  try {
    return resolveRuntimePath(row.runtime, context.runtimePath);
  } catch (error) {
    if (error instanceof ShiplogError && error.class === ErrorClass.Unknown) return undefined;
    throw error;
  }
}

/** Ends the container in the shim, and the shim itself when it serves no other task; closes the connection. */
async function endShim(
  context: TaskContext,
  key: TaskKey,
  endpoint: ShimEndpoint,
  given: ShimConnection | undefined,
  isOwn: boolean,
): Promise<void> {
  const connection = given ?? (await dialOrUndefined(context, key, endpoint));
  if (connection === undefined) return;
  // A shim that had not opened its log yet when the daemon ended waits for that, and answers nothing before.
  const log = openShimLog(context.bundles.pathOf(key), context.logger.child({ ...key }));
  try {
    if (servesAnother(context, key, endpoint.address)) await endContainer(connection);
    else await endServer(context, key, connection);
  } catch (error) {
    context.logger.debug({ ...key, err: error }, "end shim");
    // Ours waits for a container that it was started for, and stays for that; another's might end, whatever it was started for meanwhile.
    if (isOwn) await connection.shutdown().catch(() => {});
  } finally {
    log?.close();
    connection.close();
  }
}

/** True when another task is served by the shim at this address, connected or not. */
export function servesAnother(context: TaskContext, key: TaskKey, address: string): boolean {
  if (context.shims.isShared(key, address)) return true;
  for (const { namespace, key: id, row } of context.ledger.view.tasks.all()) {
    if (row.shim?.address === address && (namespace !== key.namespace || id !== key.id)) return true;
  }
  return false;
}

async function endContainer(connection: ShimConnection): Promise<void> {
  await connection.kill("", 9, true).catch(() => {});
  await connection.wait("", killMsMax).catch(() => {});
  await connection.delete("");
}

/** Asks a shim without a container to end; any other, and one that stays, is killed by the pid that it gave. */
async function endServer(context: TaskContext, key: TaskKey, connection: ShimConnection): Promise<void> {
  const { shimPid, taskPid } = await connection.connect();
  const startTime = processStartTime(shimPid);
  if (taskPid === 0) {
    await connection.shutdown().catch(() => {});
    await withTimeout(connection.closed, shutdownMsMax);
    // A container of its group has come meanwhile: that is why it stays.
    if (servesAnother(context, key, connection.endpoint.address)) return;
  }
  // The id on a grouped shim's command line is that of the task it was started for, so the address alone has to prove it ours.
  if (startTime !== undefined && isShimOf(shimPid, context.address)) await endProcess({ pid: shimPid, startTime });
}

/** A shim that was killed has left its socket. One of a group may have got a successor there already, of which nobody here knows yet. */
export async function removeSocket({ logger }: TaskContext, key: TaskKey, address: string): Promise<void> {
  if (!address.startsWith(unixPrefix)) return;
  await removeUnlessServed(address).catch((error: unknown) =>
    logger.warn({ ...key, err: error }, "remove a shim's socket"),
  );
}

async function dialOrUndefined(
  { stopping }: TaskContext,
  key: TaskKey,
  endpoint: ShimEndpoint,
): Promise<ShimConnection | undefined> {
  try {
    return await ShimConnection.dial(key, endpoint, stopping);
  } catch {
    return undefined;
  }
}
