/**
 * What shims report by themselves: envelopes forwarded over ttrpc.
 *
 * An exit and an out-of-memory kill are facts of the task they are about. The other events of a task tell what the daemon itself
 * asked for, and are facts already. Anything else is published as it came. An event never makes a task.
 */
import { ErrorClass, ShiplogError } from "../error.ts";
import { payloads, unixNanoFromTimestamp, type eventsTtrpc } from "../wire/mod.ts";
import type { TaskKey } from "./bundle.ts";
import { execOf, report, rowOf, shimOrigin, type TaskContext } from "./context.ts";
import { isOfAnother, settleExec, settleInit } from "./settle.ts";

export type Envelope = NonNullable<eventsTtrpc.ForwardRequest["envelope"]>;

/** Topics whose events tell what the daemon's own call did, which its reply has told already. */
const ownDoings: ReadonlySet<string> = new Set([
  "/tasks/create",
  "/tasks/start",
  "/tasks/delete",
  "/tasks/exec-added",
  "/tasks/exec-started",
  "/tasks/paused",
  "/tasks/resumed",
]);

/** Payload bytes of an event of another topic that are published at most: a fact has to fit in a record. */
export const publishedBytesMax = 32_768;

/** Who reports. */
export interface Reporter {
  /** The shim's. */
  readonly pid: number;
  /** It keeps the report until it is answered, and wants to hear that it is durable. */
  readonly whenDurable: boolean;
}

/**
 * Resolves when what the envelope says is durable; of an exit only if the reporter wants that, for its Wait tells it as well. The envelope's
 * namespace and topic have been checked.
 * @throws ShiplogError InvalidArgument for a payload that is not of its topic's type, Unavailable when it cannot be recorded yet
 */
export async function observe(context: TaskContext, envelope: Envelope, { pid, whenDurable }: Reporter): Promise<void> {
  const { topic, namespace, event } = envelope;
  if (ownDoings.has(topic)) return;
  if (topic === "/tasks/exit") {
    const exit = decoded(payloads.TaskExit, event?.value, topic);
    const key = { namespace, id: exit.containerId };
    if (isUnknown(context, key, topic)) return;
    if (exit.id === exit.containerId && isOfAnotherTask(context, key, exit.pid)) return;
    // Of a process that its deletion killed the shim tells the status but not the time.
    const exitedAt = unixNanoFromTimestamp(exit.exitedAt) ?? unixNanoFromTimestamp(envelope.timestamp);
    const reported = { exitStatus: exit.exitStatus, exitedAt };
    const execId = exit.id === exit.containerId ? "" : exit.id;
    const settled =
      execId === "" ? settleInit(context, key, reported) : settleExec(context, key, execId, reported, exit.pid);
    // Otherwise not awaited: it may have to ask the shim about its execs, which may be waiting for the answer to this event.
    if (!whenDurable) return;
    await settled;
    if (!isRecorded(context, key, execId, exit.pid)) {
      throw new ShiplogError(ErrorClass.Unavailable, `exit of ${exit.id}: it cannot be recorded yet: unavailable`, {
        reason: "ExitNotRecorded",
      });
    }
    return;
  }
  if (topic === "/tasks/oom") {
    const { containerId } = decoded(payloads.TaskOOM, event?.value, topic);
    const key = { namespace, id: containerId };
    if (isUnknown(context, key, topic)) return;
    const at = unixNanoFromTimestamp(envelope.timestamp)!;
    await report(context, shimOrigin(context, key, pid), key, (row) =>
      row === undefined ? [] : [{ type: "RecordOomed", at }],
    );
    return;
  }
  await publish(context, envelope, pid);
}

async function publish(
  context: TaskContext,
  { topic, namespace, event, timestamp }: Envelope,
  pid: number,
): Promise<void> {
  if (event !== undefined && event.value.length > publishedBytesMax) {
    throw new ShiplogError(
      ErrorClass.ResourceExhausted,
      `event on ${topic}: ${event.value.length} bytes are over the limit of ${publishedBytesMax}`,
    );
  }
  const published = event === undefined ? null : { typeUrl: event.typeUrl, value: event.value };
  await context.ledger.transact(shimOrigin(context, { namespace, id: "" }, pid), () => [
    {
      kind: "event",
      key: topic,
      command: {
        type: "PublishEvent",
        topic,
        event: published,
        timestamp: unixNanoFromTimestamp(timestamp) ?? context.clock.now(),
      },
    },
  ]);
}

function isUnknown(context: TaskContext, key: TaskKey, topic: string): boolean {
  if (rowOf(context, key) !== undefined) return false;
  context.logger.debug({ ...key, topic }, "event about a task that is not there");
  return true;
}

/** A late event of an earlier task of this name: its shim sent it again after a new one was created. */
function isOfAnotherTask(context: TaskContext, key: TaskKey, pid: number): boolean {
  return isOfAnother(rowOf(context, key)?.pid ?? 0, pid);
}

/** True when nothing is left to be recorded of the process's exit, now or later. */
function isRecorded(context: TaskContext, key: TaskKey, execId: string, pid: number): boolean {
  const row = rowOf(context, key);
  if (row === undefined) return true;
  if (execId === "") return row.exit !== null;
  const exec = execOf(row, execId);
  return exec === undefined || exec.exit !== null || exec.status === "added" || isOfAnother(exec.pid, pid);
}

function decoded<T>(codec: { decode(bytes: Uint8Array): T }, bytes: Uint8Array | undefined, topic: string): T {
  try {
    return codec.decode(bytes ?? Buffer.alloc(0));
  } catch (cause) {
    throw new ShiplogError(ErrorClass.InvalidArgument, `event on ${topic}: not of its type: invalid argument`, {
      cause,
    });
  }
}
