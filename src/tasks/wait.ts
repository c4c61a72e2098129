/**
 * Waiting for a process to end. The answer comes from the log and never from a shim: so it is the same for every waiter, before
 * and after the exit, and a hung shim cannot hold it.
 */
import { ErrorClass, ShiplogError } from "../error.ts";
import type { Exit } from "../events/catalogue.ts";
import type { TaskKey } from "./bundle.ts";
import { type Done, execOf, processName, type TaskContext, taskOf, throwIfStopping } from "./context.ts";

export interface Exited extends Done {
  readonly exit: Exit;
}

/**
 * Resolves when the process has ended, at once when it has already; a process that is deleted meanwhile has ended too.
 * @throws ShiplogError NotFound, Unavailable when the daemon stops, Canceled when `signal` is aborted
 */
export async function waitForExit(
  context: TaskContext,
  key: TaskKey,
  execId: string,
  signal: AbortSignal,
): Promise<Exited> {
  const { createdAt } = execTask(context, key, execId);
  const watched = { kind: "task", namespace: key.namespace, key: key.id } as const;
  try {
    const { next, value } = await context.ledger.until(
      watched,
      (view) => {
        const row = view.tasks.get(key.namespace, key.id);
        // Another task of the same name is not the one that is waited for.
        if (row === undefined || row.createdAt !== createdAt)
          return { exit: context.lastExits.get(processName(key, execId)) };
        if (execId === "") return row.exit === null ? undefined : { exit: row.exit };
        const exec = execOf(row, execId);
        if (exec === undefined) return { exit: context.lastExits.get(processName(key, execId)) };
        return exec.exit === null ? undefined : { exit: exec.exit };
      },
      AbortSignal.any([signal, context.stopping]),
    );
    if (value.exit !== undefined) return { exit: value.exit, next };
  } catch (error) {
    throwIfStopping(context);
    if (!signal.aborted || error instanceof ShiplogError) throw error;
    throw new ShiplogError(ErrorClass.Canceled, `wait for task ${key.id}: context canceled`, { cause: error });
  }
  throw execId === ""
    ? new ShiplogError(ErrorClass.NotFound, `task ${key.id} not found`, { reason: "TaskAbsent", whole: true })
    : noSuchExec(execId);
}

/** The task's row, in which the exec is. @throws ShiplogError NotFound, worded as containerd does */
export function execTask(context: TaskContext, key: TaskKey, execId: string) {
  const row = taskOf(context.ledger.view, key);
  if (execId !== "" && execOf(row, execId) === undefined) throw noSuchExec(execId);
  return row;
}

function noSuchExec(execId: string): ShiplogError {
  return new ShiplogError(ErrorClass.NotFound, `process does not exist ${execId}: not found`, { reason: "ExecAbsent" });
}
