/**
 * Starting a shim for a bundle and connecting to it: for a task that is being created, and for one whose shim has died.
 *
 * Owns the steps and what they leave in the bundle. What is left when one fails is the caller's to clear away.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { AnyValue } from "../events/catalogue.ts";
import type { TaskKey } from "./bundle.ts";
import { type TaskContext, throwIfStopping } from "./context.ts";
import { ShimConnection } from "./shim-connection.ts";
import { ShimLog } from "./shim-log.ts";

export interface StartedShim {
  readonly connection: ShimConnection;
  readonly log: ShimLog;
  readonly shimPid: number;
}

/**
 * The claim on the shim's address (see LiveShims) is made here and is the caller's to give up.
 * @throws ShiplogError of the launcher, Error of the file system, TtrpcError, TtrpcClosed
 */
export async function startShim(
  context: TaskContext,
  key: TaskKey,
  binary: string,
  options: AnyValue | null,
): Promise<StartedShim> {
  const { bundles, launcher, logger } = context;
  const bundle = bundles.pathOf(key);
  let log: ShimLog | undefined;
  let connection: ShimConnection | undefined;
  try {
    await bundles.writeShimBinaryPath(key, binary);
    log = new ShimLog(bundle, logger.child({ ...key }));
    const { address, version } = await launcher.start(binary, key, bundle, options);
    context.shims.claim(key, address);
    throwIfStopping(context);
    // Where newer containerds write it too; older shims write `address` themselves.
    await writeFile(join(bundle, "bootstrap.json"), JSON.stringify({ version, address, protocol: "ttrpc" }), {
      mode: 0o600,
    });
    connection = await ShimConnection.dial(key, { address, version }, context.stopping);
    const { shimPid } = await connection.connect();
    return { connection, log, shimPid };
  } catch (error) {
    log?.close();
    connection?.close();
    throw error;
  }
}
