/**
 * What every operation of this room works with, and the few rules that all of them share: how a task is looked up, how an
 * outcome is recorded, and that nothing is recorded about a call that failed because the daemon stops.
 */
import type { Logger } from "pino";
import { ErrorClass, ShiplogError } from "../error.ts";
import type { Exit } from "../events/catalogue.ts";
import type { Position } from "../events/fact.ts";
import type { Ledger, Origin, Outcome, View } from "../ledger.ts";
import type { ContainerState, ExecState, TaskCommand, TaskState } from "../machines/mod.ts";
import type { Clock, Ids } from "../platform/mod.ts";
import type { Arrange } from "./arrange.ts";
import type { Bundles, TaskKey } from "./bundle.ts";
import type { ExitWatches } from "./exit-watches.ts";
import type { HeldOutput } from "./held-output.ts";
import type { LastExits } from "./last-exits.ts";
import type { Launcher } from "./launch.ts";
import type { LiveShim, LiveShims } from "./live-shims.ts";
import type { RuntimePathOptions } from "./runtime-path.ts";
import { shimJournalOf } from "./shim-journal.ts";
import type { TaskQueue } from "./task-queue.ts";

export interface TaskContext {
  readonly ledger: Ledger;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly ids: Ids;
  /** The daemon's gRPC socket: shims of ours carry it on their command line. */
  readonly address: string;
  readonly runtimePath: RuntimePathOptions;
  /** Whether the log has ever had a task of this name. */
  readonly hasHistory: (key: TaskKey) => Promise<boolean>;
  readonly arrange: Arrange;
  readonly bundles: Bundles;
  readonly launcher: Launcher;
  readonly shims: LiveShims;
  readonly queue: TaskQueue;
  /** Start calls that wait for their shim's reply, by process. */
  readonly starting: Map<string, Promise<unknown>>;
  /** Exits that are being settled, by process. */
  readonly settling: Map<string, Promise<void>>;
  readonly lastExits: LastExits;
  readonly exitWatches: ExitWatches;
  readonly heldOutput: HeldOutput;
  /** Aborted when the daemon stops. */
  readonly stopping: AbortSignal;
}

/** The connected shim. @throws ShiplogError Unavailable when the task has none: it is lost, or has not been reached again yet */
export function shimOf({ shims }: TaskContext, key: TaskKey): LiveShim {
  const shim = shims.get(key);
  if (shim !== undefined) return shim;
  throw new ShiplogError(ErrorClass.Unavailable, `task ${key.id}: no connection to its shim: unavailable`, {
    reason: "ShimLost",
  });
}

/** What an operation gives back beside its value: one past the last fact that it stands on. */
export interface Done {
  readonly next: Position;
}

/** Names a process in maps and queues; init's `execId` is empty. No part can hold a slash. */
export function processName({ namespace, id }: TaskKey, execId = ""): string {
  return `${namespace}/${id}/${execId}`;
}

/** The container's record. @throws ShiplogError NotFound, worded as containerd does */
export function containerOf(view: View, { namespace, id }: TaskKey): ContainerState {
  const container = view.containers.get(namespace, id);
  if (container !== undefined) return container;
  throw new ShiplogError(ErrorClass.NotFound, `container "${id}" in namespace "${namespace}": not found`, {
    reason: "ContainerAbsent",
  });
}

/** The task's row; one that is only being created is none yet. @throws ShiplogError NotFound, worded as containerd does */
export function taskOf(view: View, key: TaskKey): TaskState {
  containerOf(view, key);
  const task = view.tasks.get(key.namespace, key.id);
  if (task !== undefined && task.status !== "creating") return task;
  throw new ShiplogError(ErrorClass.NotFound, `task ${key.id} not found`, { reason: "TaskAbsent", whole: true });
}

/** The exec, or undefined; an exec may be called `constructor`. */
export function execOf(row: TaskState, execId: string): ExecState | undefined {
  return Object.hasOwn(row.execs, execId) ? row.execs[execId] : undefined;
}

/** The row as it is now, in whatever status. */
export function rowOf({ ledger }: TaskContext, { namespace, id }: TaskKey): TaskState | undefined {
  return ledger.view.tasks.get(namespace, id);
}

/** The daemon's own doing, or what it found out by itself. */
export function ownOrigin({ ids }: TaskContext, { namespace }: TaskKey): Origin {
  return { namespace, principal: { ...ownIdentity(), pid: process.pid, client: "shiplogd" }, request: ids.request() };
}

/** A report of the shim with this pid. */
export function shimOrigin({ ids }: TaskContext, { namespace }: TaskKey, pid: number): Origin {
  return { namespace, principal: { ...ownIdentity(), pid, client: "shim" }, request: ids.request() };
}

function ownIdentity() {
  return { uid: process.geteuid!(), gid: process.getegid!() };
}

/** Appends what `plan` makes of the task's row, all or nothing. @throws ShiplogError when a command is rejected */
export function transactTask(
  { ledger }: TaskContext,
  origin: Origin,
  key: TaskKey,
  plan: (row: TaskState | undefined, view: View) => readonly TaskCommand[],
): Promise<Outcome> {
  return ledger.transact({ ...origin, namespace: key.namespace }, (view) =>
    plan(view.tasks.get(key.namespace, key.id), view).map((command) => ({ kind: "task", key: key.id, command })),
  );
}

/**
 * Records what has happened. A rejection means that the task has moved on meanwhile (it ended, or is gone), so that there is
 * nothing left to say: it is logged, not thrown.
 */
export async function report(
  context: TaskContext,
  origin: Origin,
  key: TaskKey,
  plan: (row: TaskState | undefined) => readonly TaskCommand[],
): Promise<Done> {
  try {
    return await transactTask(context, origin, key, plan);
  } catch (error) {
    if (!(error instanceof ShiplogError)) throw error;
    context.logger.debug({ ...key, err: error }, "report about a task that has moved on");
    return { next: context.ledger.view.next };
  }
}

/** The origin of an intent's outcome. `type` is the intent's fact, which is not the first one where the write made the namespace. */
export function causedBy(origin: Origin, { facts }: Outcome, type: string): Origin {
  const intent = facts.find((fact) => fact.type === type);
  return intent === undefined ? origin : { ...origin, cause: intent.position };
}

/**
 * To be asked before anything is recorded about a call that failed: when the daemon stops it closes its connections, and what
 * the shim does then is for the next daemon to find out. @throws ShiplogError Unavailable
 */
export function throwIfStopping({ stopping }: TaskContext): void {
  if (stopping.aborted)
    throw new ShiplogError(ErrorClass.Unavailable, "the daemon is stopping: unavailable", { reason: "Stopping" });
}

/**
 * An exit as the shim told it. Without a time it told none. 255 may be its word for one that it did not see, as its journal then says; what the
 * daemon saw itself counts then, and otherwise nobody knows.
 */
export function exitOf(
  context: TaskContext,
  key: TaskKey,
  execId: string,
  pid: number,
  { exitStatus, exitedAt }: { readonly exitStatus: number; readonly exitedAt: bigint | undefined },
): Exit {
  if (exitedAt !== undefined && exitStatus !== 255) return { pid, status: exitStatus, exitedAt, known: true };
  const seen = seenExit(context, key, execId, pid);
  if (seen !== undefined) return seen;
  if (exitedAt === undefined) return unknownExit(pid, 255, context.clock.now());
  const journal = shimJournalOf(context, key);
  const written = execId === "" ? journal?.exit : journal?.execs.get(execId)?.exit;
  return { pid, status: exitStatus, exitedAt, known: written?.known ?? true };
}

/** An exit that the daemon saw itself; undefined when it saw none. */
export function seenExit({ exitWatches }: TaskContext, key: TaskKey, execId: string, pid: number): Exit | undefined {
  const seen = exitWatches.seen(key, execId, pid);
  return seen && { pid, status: seen.exitStatus, exitedAt: seen.exitedAt, known: true };
}

/** containerd's stand-in for an exit that nobody saw: 255, or 137 where clean-up has killed what ran. */
export function unknownExit(pid: number, status: 255 | 137, exitedAt: bigint): Exit {
  return { pid, status, exitedAt, known: false };
}
