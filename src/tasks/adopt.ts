/**
 * Taking over a shim that runs already: after a restart of the daemon, or of the connection. What the shim says is held against
 * the row; whatever the row has open or missed is recorded as the shim tells it. One of ours that has died is replaced by another, which
 * takes over what runs: the death of a shim is not that of its containers.
 *
 * A shim that is there but does not answer keeps its task, and is asked again until it answers or ends: a healthy shim that was
 * taken for dead would leave its container running beside a second copy.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { ShimEndpoint } from "../events/catalogue.ts";
import { type ExecState, openIntents, type TaskCommand, type TaskState } from "../machines/mod.ts";
import { errorCode } from "../platform/mod.ts";
import type { JournalState } from "../shim/journal/mod.ts";
import { TtrpcClosed } from "../shim/ttrpc/mod.ts";
import { TaskStatus } from "../wire/mod.ts";
import type { TaskKey } from "./bundle.ts";
import { removeCheckpoint } from "./checkpoint.ts";
import { exitOf, ownOrigin, processName, report, rowOf, seenExit, type TaskContext, unknownExit } from "./context.ts";
import { finishDelete } from "./delete.ts";
import type { LiveShim } from "./live-shims.ts";
import { startedCommand } from "./lifecycle.ts";
import { recordLoss } from "./loss.ts";
import { settleInit, watchExec, watchInit } from "./settle.ts";
import { type ProcessState, ShimConnection } from "./shim-connection.ts";
import { isShimNotFound } from "./shim-error.ts";
import { mayBeDeleted, shimJournalOf } from "./shim-journal.ts";
import { openShimLog } from "./shim-log.ts";
import { type StartedShim, startShim } from "./start-shim.ts";

/** How long a shim may take to tell a process's state while it may be in the middle of a start. */
const stateMsMax = 10_000;

/** How long a shim that gave no answer is left alone before it is asked again. */
const askAgainMs = 1_000;

/** How long after a shim could not be started in place of one that died it is tried again. */
const startAgainMs = 5_000;

/** Said of an intent whose end nobody saw. */
const interrupted = "the daemon ended before the shim replied";

/**
 * Connects to the row's shim and brings the row up to date with it; a shim that is gone is recorded as lost. In line with the
 * task's other operations.
 */
export async function takeOver(context: TaskContext, key: TaskKey): Promise<void> {
  const row = rowOf(context, key);
  if (row === undefined) return;
  if (row.shim === null) return replace(context, key, "the shim is gone");
  const endpoint = row.shim;
  let connection: ShimConnection | undefined;
  try {
    connection = await dialUnlessGone(context, key, endpoint);
  } catch (error) {
    context.logger.warn({ ...key, err: error }, "cannot connect to the shim; its task is kept");
    askAgain(context, key, () => takeOver(context, key));
    return;
  }
  if (context.stopping.aborted) return connection?.close();
  if (connection === undefined) {
    context.logger.warn({ ...key }, "the shim is gone");
    return replace(context, key, "the shim is gone");
  }
  await adopt(
    context,
    context.shims.add(key, connection, openShimLog(context.bundles.pathOf(key), context.logger.child({ ...key })), 0),
  );
}

/**
 * Puts a new shim in the place of one that has died; where that cannot be, the task is lost with it. While none can be started the containers run on, the
 * daemon itself sees them end, and it is tried again.
 */
async function replace(context: TaskContext, key: TaskKey, message: string): Promise<void> {
  const journal = shimJournalOf(context, key);
  if (journal?.created === undefined || journal.deleted) return recordLoss(context, key, message);
  context.heldOutput.hold(key);
  watchProcesses(context, key, journal);
  await report(context, ownOrigin(context, key), key, () => [{ type: "RecordShimLost", message }]);
  const options = rowOf(context, key)?.options ?? null;
  let started: StartedShim;
  try {
    started = await startShim(context, key, context.runtimePath.ownShim, options);
  } catch (error) {
    context.shims.unclaim(key);
    if (context.stopping.aborted) return;
    context.logger.error(
      { ...key, err: error },
      "cannot start a shim in place of the one that died; its containers run on",
    );
    askAgain(context, key, () => takeOver(context, key), startAgainMs);
    return;
  }
  const { connection, log, shimPid } = started;
  const shim = context.shims.add(key, connection, log, shimPid);
  context.shims.unclaim(key);
  await report(context, ownOrigin(context, key), key, () => [
    { type: "RecordShimReplaced", shim: connection.endpoint },
  ]);
  await adopt(context, shim, { isReplacement: true });
}

/** By what the dead shim wrote down, which names processes better than their numbers do: those may be used again. */
function watchProcesses({ exitWatches }: TaskContext, key: TaskKey, { created, execs }: JournalState): void {
  if (created !== undefined) exitWatches.watch(key, "", created.pid, created.startTime);
  for (const [execId, { started }] of execs)
    if (started !== undefined) exitWatches.watch(key, execId, started.pid, started.startTime);
}

/** Undefined when nothing listens at the address: only that proves that the shim has ended. @throws any other failure */
async function dialUnlessGone(
  { stopping }: TaskContext,
  key: TaskKey,
  endpoint: ShimEndpoint,
): Promise<ShimConnection | undefined> {
  try {
    return await ShimConnection.dial(key, endpoint, stopping);
  } catch (error) {
    const code = error instanceof TtrpcClosed ? errorCode(error.cause) : undefined;
    if (code === "ENOENT" || code === "ECONNREFUSED") return undefined;
    throw error;
  }
}

async function adopt(context: TaskContext, shim: LiveShim, { isReplacement = false } = {}): Promise<void> {
  try {
    await reconcile(context, shim, isReplacement);
    context.heldOutput.release(shim.key);
  } catch (error) {
    // An ended connection is settled as a loss by itself.
    if (context.stopping.aborted || error instanceof TtrpcClosed) return;
    context.logger.warn({ ...shim.key, err: error }, "the shim does not answer; its task is kept");
    askAgain(context, shim.key, async () => {
      if (context.shims.get(shim.key) === shim) await adopt(context, shim, { isReplacement });
    });
  }
}

/** Goes on until the shim answers or ends, or the daemon stops. */
function askAgain(context: TaskContext, key: TaskKey, ask: () => Promise<void>, afterMs = askAgainMs): void {
  delay(afterMs, undefined, { ref: false, signal: context.stopping })
    .then(() => context.queue.run(processName(key), ask))
    .catch((error: unknown) => {
      if (!context.stopping.aborted) context.logger.error({ ...key, err: error }, "ask the shim again");
    });
}

/** `isReplacement`: the shim was started to take the container over, so that it does not know of it is the last word. */
async function reconcile(context: TaskContext, shim: LiveShim, isReplacement: boolean): Promise<void> {
  const { key, connection } = shim;
  shim.shimPid = (await connection.connect()).shimPid;
  const init = await stateOf(connection, "");
  const row = rowOf(context, key);
  if (row === undefined) return;
  if (row.status === "deleting" && (init !== undefined || mayBeDeleted(context, key))) {
    await finishDelete(context, ownOrigin(context, key), key);
    return;
  }
  if (init === undefined) {
    context.logger.warn({ ...key }, "the shim knows of no such container");
    context.shims.remove(shim);
    connection.close();
    const message = "the shim knows of no such container";
    // The shim of a group may have been replaced, for another of its containers, before this one was taken over.
    return isReplacement ? recordLoss(context, key, message) : replace(context, key, message);
  }
  if (row.checkpointing) await removeCheckpoint(context, key);
  const execs = new Map<string, ProcessState | undefined>();
  for (const execId of Object.keys(row.execs)) execs.set(execId, await stateOf(connection, execId));
  await report(context, ownOrigin(context, key), key, (now) => {
    if (now === undefined) return [];
    const ofExecs = Object.entries(now.execs).flatMap(([execId, exec]) =>
      execCommands(context, key, execId, exec, execs.get(execId)),
    );
    return [...initCommands(now, init), ...ofExecs, ...signalCommands(now, init, execs), ...checkpointCommands(now)];
  });
  if (init.status === TaskStatus.STOPPED) await settleInit(context, key, init);
  else watchInit(context, shim);
  for (const [execId, exec] of Object.entries(rowOf(context, key)?.execs ?? {})) {
    if (exec.status === "running") watchExec(context, shim, execId);
  }
}

/** Undefined when the shim knows of no such process. */
async function stateOf(connection: ShimConnection, execId: string): Promise<ProcessState | undefined> {
  try {
    return await connection.state(execId, stateMsMax);
  } catch (error) {
    if (isShimNotFound(error)) return undefined;
    throw error;
  }
}

/** What the row does not know yet about init; its exit is settled apart. */
function initCommands(row: TaskState, { status, pid }: ProcessState): TaskCommand[] {
  const paused = status === TaskStatus.PAUSED;
  const running = status === TaskStatus.RUNNING || status === TaskStatus.PAUSING || paused;
  const commands: TaskCommand[] = [];
  if (row.status === "starting" && status === TaskStatus.CREATED)
    commands.push({ type: "RecordStartFailed", message: interrupted });
  if ((row.status === "starting" || row.status === "created") && running) commands.push(startedCommand("", pid));
  if (row.status !== "paused" && paused) commands.push({ type: "RecordPaused" });
  if (row.status === "paused" && running && !paused) commands.push({ type: "RecordResumed" });
  return commands;
}

function execCommands(
  context: TaskContext,
  key: TaskKey,
  execId: string,
  exec: ExecState,
  state: ProcessState | undefined,
): TaskCommand[] {
  if (state === undefined) {
    const exit =
      exec.exit ?? seenExit(context, key, execId, exec.pid) ?? unknownExit(exec.pid, 255, context.clock.now());
    const failed: TaskCommand[] =
      exec.status === "starting" ? [{ type: "RecordExecStartFailed", execId, message: interrupted }] : [];
    const ended: TaskCommand[] = exec.status === "running" ? [{ type: "RecordExecExited", execId, exit }] : [];
    return [...failed, ...ended, { type: "RecordExecDeleted", execId, exit }];
  }
  const begun = exec.status === "starting" || exec.status === "running";
  switch (state.status) {
    case TaskStatus.STOPPED:
      // The runtime could not start it: it has ended for those who wait for it, and never ran.
      if (exec.status === "starting" && state.pid === 0)
        return [{ type: "RecordExecStartFailed", execId, message: interrupted }];
      return begun ? [{ type: "RecordExecExited", execId, exit: exitOf(context, key, execId, state.pid, state) }] : [];
    case TaskStatus.CREATED:
      return exec.status === "starting" ? [{ type: "RecordExecStartFailed", execId, message: interrupted }] : [];
    default:
      // A paused task's execs are paused too, whether they have been started or not.
      return exec.status === "starting" && state.pid !== 0 ? [startedCommand(execId, state.pid)] : [];
  }
}

/** Its images went to nobody, or lie in a directory that is the client's: whether they are whole, nobody has told. */
function checkpointCommands(row: TaskState): TaskCommand[] {
  return openIntents(row).checkpoint ? [{ type: "RecordCheckpointFailed", message: interrupted }] : [];
}

/** A signal leaves no trace but the death of its process; of any other nobody knows whether it arrived. */
function signalCommands(
  row: TaskState,
  init: ProcessState,
  execs: ReadonlyMap<string, ProcessState | undefined>,
): TaskCommand[] {
  return openIntents(row).signals.map((signal): TaskCommand => {
    const state = signal.execId === "" ? init : execs.get(signal.execId);
    const died = state?.status === TaskStatus.STOPPED && state.exitStatus === 128 + signal.signal;
    return died
      ? { type: "RecordSignalled", ...signal }
      : { type: "RecordSignalFailed", ...signal, message: interrupted };
  });
}
