/**
 * Creating a task: intent, bundle, shim, container, outcome.
 *
 * A create that fails leaves nothing: no shim, no mount, no bundle, no exit, and the client gets the shim's own text.
 */
import { ErrorClass, ShiplogError } from "../error.ts";
import type { AnyValue, Mount, ProcessIo } from "../events/catalogue.ts";
import type { Origin } from "../ledger.ts";
import type { ContainerState } from "../machines/mod.ts";
import { errorCode } from "../platform/mod.ts";
import type { TaskKey } from "./bundle.ts";
import { restoreDirectory, type UnpackCheckpoint, unpackCheckpoint } from "./checkpoint.ts";
import { clearAway } from "./clear-away.ts";
import {
  causedBy,
  containerOf,
  type Done,
  processName,
  report,
  rowOf,
  type TaskContext,
  throwIfStopping,
  transactTask,
} from "./context.ts";
import { resolveRuntimePath } from "./runtime-path.ts";
import { isUnknownContainer } from "./unknown-container.ts";
import { watchInit } from "./settle.ts";
import type { ShimConnection } from "./shim-connection.ts";
import { shimFailure } from "./shim-error.ts";
import { type StartedShim, startShim } from "./start-shim.ts";

export interface CreateTask {
  readonly rootfs: readonly Mount[];
  readonly io: ProcessIo;
  /** Null takes the container's. */
  readonly options: AnyValue | null;
  /** Overrides the container's runtime when it is not empty. */
  readonly runtimePath: string;
  /** A directory to restore from, empty for none; or what fills one of the task's own. */
  readonly checkpoint: string | UnpackCheckpoint;
}

export interface Created extends Done {
  readonly pid: number;
}

/** @throws ShiplogError NotFound (no container), AlreadyExists (a task), else of the shim's class with its text */
export function createTask(context: TaskContext, origin: Origin, key: TaskKey, request: CreateTask): Promise<Created> {
  return context.queue.run(processName(key), async () => {
    if (rowOf(context, key) === undefined && (await isUnknownContainer(context, key))) {
      const message = `task ${key.id}: a container of this name runs that the log knows nothing of: failed precondition`;
      throw new ShiplogError(ErrorClass.FailedPrecondition, message, { reason: "UnknownContainer" });
    }
    const bundle = context.bundles.pathOf(key);
    const { io } = request;
    const checkpoint = restoreDirectory(context, key, request.checkpoint);
    let container: ContainerState | undefined;
    let runtime = "";
    let options: AnyValue | null = null;
    const intent = await transactTask(context, origin, key, (_, view) => {
      container = containerOf(view, key);
      runtime = request.runtimePath || container.runtime.name;
      options = request.options ?? container.runtime.options;
      return [{ type: "CreateTask", id: key.id, bundle, runtime, rootfs: request.rootfs, io, options, checkpoint }];
    });
    const outcome = causedBy(origin, intent, "TaskCreating");
    let launched: StartedShim | undefined;
    try {
      const { rootfs, spec } = await context.arrange(outcome, key, {
        container: container!,
        rootfs: request.rootfs,
        spec: container!.spec,
      });
      launched = await launchShim(context, key, runtime, spec, options);
      await unpackCheckpoint(context, key, request.checkpoint);
      const pid = await createInShim(launched.connection, { bundle, rootfs, io, options, checkpoint });
      const { connection, log, shimPid } = launched;
      const { next } = await transactTask(context, outcome, key, () => [
        { type: "RecordCreated", pid, shim: connection.endpoint },
      ]);
      watchInit(context, context.shims.add(key, connection, log, shimPid));
      return { pid, next };
    } catch (error) {
      launched?.log.close();
      throwIfStopping(context);
      await clearAway(context, key, launched?.connection);
      const failure = shimFailure(error);
      await report(context, outcome, key, () => [{ type: "RecordCreateFailed", message: failure.message }]);
      throw failure;
    } finally {
      context.shims.unclaim(key);
    }
  });
}

async function createInShim(
  connection: ShimConnection,
  request: Parameters<ShimConnection["create"]>[0],
): Promise<number> {
  try {
    return await connection.create(request);
  } catch (error) {
    throw shimFailure(error, "failed to create shim task");
  }
}

/** Makes the bundle, starts its shim and connects. What it leaves when it fails is the caller's to clear away. */
async function launchShim(
  context: TaskContext,
  key: TaskKey,
  runtime: string,
  spec: AnyValue | null,
  options: AnyValue | null,
): Promise<StartedShim> {
  try {
    const binary = resolveRuntimePath(runtime, context.runtimePath);
    await makeBundle(context, key, spec?.value ?? Buffer.from("{}"));
    return await startShim(context, key, binary, options);
  } catch (error) {
    throw shimFailure(error, "failed to start shim");
  }
}

/** A bundle that is there already belongs to no task, for there was no row: a crash left it. */
async function makeBundle(context: TaskContext, key: TaskKey, spec: Uint8Array): Promise<string> {
  try {
    return await context.bundles.create(key, spec);
  } catch (error) {
    if (errorCode(error) !== "EEXIST") {
      const message = error instanceof Error ? error.message : String(error);
      throw new ShiplogError(ErrorClass.Unknown, message, { reason: "BundleFailed", cause: error });
    }
  }
  context.logger.warn({ ...key }, "a bundle that no task owns is in the way");
  await clearAway(context, key);
  return context.bundles.create(key, spec);
}
