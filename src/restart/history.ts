/**
 * How a container last ended, read in its task's versions: what the monitor would remember had the daemon not been restarted since. Without
 * it, a daemon killed between an attempt's deletion of the old task and the start of the new one would forget that the container had failed.
 */
import type { Fact, Position } from "../events/fact.ts";
import type { TaskState } from "../machines/mod.ts";

export interface History {
  /** Every version of the task's row, oldest first; null where it ended. */
  versions(namespace: string, id: string): AsyncIterable<{ readonly position: Position; readonly row: unknown }>;
  fact(position: Position): Promise<Fact>;
}

export interface LastExit {
  readonly status: number;
  /** Of the fact that the task has exited. */
  readonly position: Position;
  /** The client that had the task deleted; undefined when it is there, or when the client has no name. */
  readonly deletedBy: string | undefined;
}

/** Undefined when no task of it ever ran to its end, or when the last one is still about to. */
export async function lastExit(history: History, namespace: string, id: string): Promise<LastExit | undefined> {
  let before: TaskState | null = null;
  let exit: { readonly status: number; readonly position: Position } | undefined;
  let deletion: Position | undefined;
  for await (const { position, row } of history.versions(namespace, id)) {
    const task = row as TaskState | null;
    if (task?.status === "running" && before?.status !== "running") {
      exit = undefined;
      deletion = undefined;
    }
    if (task !== null && task.exit !== null && before?.exit === null && task.startedAt !== 0n)
      exit = { status: task.exit.status, position };
    if (task?.status === "deleting" && before?.status !== "deleting") deletion = position;
    before = task;
  }
  if (exit === undefined) return undefined;
  const deletedBy =
    before?.exit != null || deletion === undefined ? undefined : (await history.fact(deletion)).principal.client;
  return { ...exit, deletedBy };
}
