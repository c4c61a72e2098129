/**
 * Processes executed in a running task: adding one, which starts nothing, and deleting one that has ended or never ran.
 * Starting one is `startProcess`.
 */
import { ErrorClass, ShiplogError } from "../error.ts";
import type { AnyValue, Exit, ProcessIo } from "../events/catalogue.ts";
import type { Origin } from "../ledger.ts";
import type { TaskKey } from "./bundle.ts";
import {
  type Done,
  execOf,
  exitOf,
  processName,
  report,
  rowOf,
  shimOf,
  type TaskContext,
  taskOf,
  throwIfStopping,
  transactTask,
} from "./context.ts";
import type { ShimConnection } from "./shim-connection.ts";
import { isShimAlreadyExists, isShimNotFound, shimFailure } from "./shim-error.ts";

export interface AddExec {
  readonly execId: string;
  readonly io: ProcessIo;
  readonly spec: AnyValue | null;
}

/** Registers the exec with the shim and records it. @throws ShiplogError of the shim's class, InvalidArgument without a spec */
export function addExec(
  context: TaskContext,
  origin: Origin,
  key: TaskKey,
  { execId, io, spec }: AddExec,
): Promise<Done> {
  // containerd's shim crashes without one, and its containers with it.
  if (spec === null) throw new ShiplogError(ErrorClass.InvalidArgument, "exec spec cannot be empty: invalid argument");
  return context.queue.run(processName(key, execId), async () => {
    taskOf(context.ledger.view, key);
    const { connection } = shimOf(context, key);
    try {
      await addToShim(context, connection, key, execId, io, spec);
    } catch (error) {
      throwIfStopping(context);
      throw shimFailure(error);
    }
    try {
      return await transactTask(context, origin, key, () => [{ type: "AddExec", id: key.id, execId, io, spec }]);
    } catch (error) {
      await connection.delete(execId).catch(() => {});
      throw error;
    }
  });
}

/** A name that the shim knows and the log does not was left by a crash between the two; it never ran, and makes room. */
async function addToShim(
  context: TaskContext,
  connection: ShimConnection,
  key: TaskKey,
  execId: string,
  io: ProcessIo,
  spec: AnyValue,
): Promise<void> {
  try {
    await connection.exec(execId, io, spec);
  } catch (error) {
    const row = rowOf(context, key);
    if (!isShimAlreadyExists(error) || row === undefined || execOf(row, execId) !== undefined) throw error;
    await connection.delete(execId);
    await connection.exec(execId, io, spec);
  }
}

export interface Deleted extends Done {
  readonly exit: Exit;
}

/** @throws ShiplogError NotFound for an unknown exec, Unknown "cannot delete a running process" */
export function deleteExec(context: TaskContext, origin: Origin, key: TaskKey, execId: string): Promise<Deleted> {
  return context.queue.run(processName(key, execId), async () => {
    await transactTask(context, origin, key, (_, view) => {
      taskOf(view, key);
      return [{ type: "CheckExecDeletable", id: key.id, execId }];
    });
    const recorded = execOf(taskOf(context.ledger.view, key), execId)?.exit ?? undefined;
    let exit = recorded;
    const shim = context.shims.get(key);
    try {
      const reply = await shim?.connection.delete(execId);
      // One that never ran has no exit; containerd's reply to its deletion has status 0.
      if (reply !== undefined) exit ??= { ...exitOf(context, key, execId, reply.pid, reply), status: reply.exitStatus };
    } catch (error) {
      throwIfStopping(context);
      // Deleted before a crash that kept it from being recorded.
      if (!isShimNotFound(error)) throw shimFailure(error);
    }
    exit ??= { pid: 0, status: 255, exitedAt: context.clock.now(), known: false };
    const deleted = exit;
    context.lastExits.set(processName(key, execId), deleted);
    context.exitWatches.forget(key, execId);
    const { next } = await report(context, origin, key, () => [{ type: "RecordExecDeleted", execId, exit: deleted }]);
    return { exit: deleted, next };
  });
}
