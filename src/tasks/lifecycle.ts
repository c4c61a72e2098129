/**
 * Starting, pausing, resuming and updating a task, and sending signals: each a call to the shim between an intent and its outcome, or
 * before the fact where nothing is started or ended.
 */
import type { AnyValue, Labels } from "../events/catalogue.ts";
import type { Origin } from "../ledger.ts";
import type { TaskCommand } from "../machines/mod.ts";
import { TaskStatus } from "../wire/mod.ts";
import type { TaskKey } from "./bundle.ts";
import {
  causedBy,
  type Done,
  processName,
  report,
  shimOf,
  type TaskContext,
  taskOf,
  throwIfStopping,
  transactTask,
} from "./context.ts";
import { watchExec } from "./settle.ts";
import type { ShimConnection } from "./shim-connection.ts";
import { isNoReply, shimFailure } from "./shim-error.ts";

export interface Started extends Done {
  readonly pid: number;
}

/** Starts init, or the exec. @throws ShiplogError of the shim's class, or a rejection worded like it */
export function startProcess(context: TaskContext, origin: Origin, key: TaskKey, execId: string): Promise<Started> {
  return context.queue.run(processName(key, execId), async () => {
    const intent = await transactTask(context, origin, key, (_, view) => {
      taskOf(view, key);
      return [execId === "" ? { type: "StartTask", id: key.id } : { type: "StartExec", id: key.id, execId }];
    });
    const outcome = causedBy(origin, intent, execId === "" ? "TaskStarting" : "ExecStarting");
    const started = callStart(context, outcome, key, execId);
    context.starting.set(
      processName(key, execId),
      started.catch(() => {}),
    );
    try {
      return await started;
    } finally {
      context.starting.delete(processName(key, execId));
    }
  });
}

async function callStart(context: TaskContext, outcome: Origin, key: TaskKey, execId: string): Promise<Started> {
  let pid: number;
  try {
    const { connection } = shimOf(context, key);
    pid = await startInShim(connection, execId);
  } catch (error) {
    throwIfStopping(context);
    const failure = shimFailure(error);
    const { message } = failure;
    await report(context, outcome, key, () => [
      execId === "" ? { type: "RecordStartFailed", message } : { type: "RecordExecStartFailed", execId, message },
    ]);
    throw failure;
  }
  const { next } = await report(context, outcome, key, () => [startedCommand(execId, pid)]);
  const shim = context.shims.get(key);
  if (execId !== "" && shim !== undefined) watchExec(context, shim, execId);
  return { pid, next };
}

/** Where no reply came in time, the shim may have started it all the same, and is asked once. */
async function startInShim(connection: ShimConnection, execId: string): Promise<number> {
  try {
    return await connection.start(execId);
  } catch (error) {
    if (!isNoReply(error)) throw error;
    const state = await connection.state(execId).catch(() => undefined);
    if (state === undefined || state.status === TaskStatus.CREATED || state.pid === 0) throw error;
    return state.pid;
  }
}

export function startedCommand(execId: string, pid: number): TaskCommand {
  return execId === "" ? { type: "RecordStarted", pid } : { type: "RecordExecStarted", execId, pid };
}

/** @throws ShiplogError of the shim's class with its text, for example Unknown "cannot pause a paused container" */
export function pauseTask(context: TaskContext, origin: Origin, key: TaskKey): Promise<Done> {
  return askThenRecord(context, origin, key, (connection) => connection.pause(), { type: "RecordPaused" });
}

export function resumeTask(context: TaskContext, origin: Origin, key: TaskKey): Promise<Done> {
  return askThenRecord(context, origin, key, (connection) => connection.resume(), { type: "RecordResumed" });
}

/** The limits that a task's processes run under. A stopped task has none: Unknown "cannot update a stopped container". */
export interface Update {
  readonly resources: AnyValue | null;
  readonly annotations: Labels;
}

/** @throws ShiplogError of the shim's class with its text */
export function updateTask(
  context: TaskContext,
  origin: Origin,
  key: TaskKey,
  { resources, annotations }: Update,
): Promise<Done> {
  const command = { type: "RecordUpdated", resources, annotations } as const;
  return askThenRecord(context, origin, key, (connection) => connection.update(resources, annotations), command);
}

/** For what starts and ends nothing: no intent, and a fact once the shim has done it. */
function askThenRecord(
  context: TaskContext,
  origin: Origin,
  key: TaskKey,
  call: (connection: ShimConnection) => Promise<void>,
  command: TaskCommand,
): Promise<Done> {
  return context.queue.run(processName(key), async () => {
    taskOf(context.ledger.view, key);
    try {
      await call(shimOf(context, key).connection);
    } catch (error) {
      throwIfStopping(context);
      throw shimFailure(error);
    }
    return report(context, origin, key, () => [command]);
  });
}

export interface Signal {
  readonly execId: string;
  readonly signal: number;
  /** Every process of the container; means nothing for an exec. */
  readonly all: boolean;
}

/** Not in line with the other operations: a signal is what ends those that hang. @throws ShiplogError as above */
export async function signalProcess(context: TaskContext, origin: Origin, key: TaskKey, signal: Signal): Promise<Done> {
  const intent = await transactTask(context, origin, key, (_, view) => {
    taskOf(view, key);
    return [{ type: "SignalTask", id: key.id, ...signal }];
  });
  const outcome = causedBy(origin, intent, "TaskSignalling");
  try {
    await shimOf(context, key).connection.kill(signal.execId, signal.signal, signal.all);
  } catch (error) {
    throwIfStopping(context);
    const failure = shimFailure(error);
    await report(context, outcome, key, () => [{ type: "RecordSignalFailed", ...signal, message: failure.message }]);
    throw failure;
  }
  return report(context, outcome, key, () => [{ type: "RecordSignalled", ...signal }]);
}
