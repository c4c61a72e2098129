/**
 * The events of a container, as containerd's shim tells them, and one of our own. Owns their topics and payloads (containerd:
 * runtime/v2/runc/task/service.go).
 */
import { systemClock } from "../../platform/mod.ts";
import * as payloads from "../../wire/gen/containerd/events/task.ts";
import { LogLoss } from "../../wire/gen/shiplog/shim/v1/shim.ts";
import { timestampFromUnixNano } from "../../wire/time.ts";
import type { StdioLoss } from "../io/mod.ts";
import type { ShimEvent } from "../publisher/mod.ts";
import type { CreateContainer } from "./request.ts";

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
}

function event<T>(topic: string, name: string, codec: Codec<T>, payload: T, timestamp: bigint): ShimEvent {
  return { topic, event: anyOf(`containerd.events.${name}`, codec, payload), timestamp };
}

const anyOf = <T>(typeUrl: string, codec: Codec<T>, payload: T): ShimEvent["event"] => ({
  typeUrl,
  value: Buffer.from(codec.encode(payload).finish()),
});

export function createEvent({ id, bundle, rootfs, io, checkpoint }: CreateContainer, pid: number): ShimEvent {
  const mounts = rootfs.map((mount) => ({ ...mount, options: [...mount.options] }));
  const payload = {
    containerId: id,
    bundle,
    rootfs: mounts,
    io: { ...io },
    checkpoint: checkpoint?.imagePath ?? "",
    pid,
  };
  return event("/tasks/create", "TaskCreate", payloads.TaskCreate, payload, systemClock.now());
}

export const startEvent = (containerId: string, pid: number): ShimEvent =>
  event("/tasks/start", "TaskStart", payloads.TaskStart, { containerId, pid }, systemClock.now());

export const execAddedEvent = (containerId: string, execId: string): ShimEvent =>
  event("/tasks/exec-added", "TaskExecAdded", payloads.TaskExecAdded, { containerId, execId }, systemClock.now());

export const execStartedEvent = (containerId: string, execId: string, pid: number): ShimEvent =>
  event(
    "/tasks/exec-started",
    "TaskExecStarted",
    payloads.TaskExecStarted,
    { containerId, execId, pid },
    systemClock.now(),
  );

export const pausedEvent = (containerId: string): ShimEvent =>
  event("/tasks/paused", "TaskPaused", payloads.TaskPaused, { containerId }, systemClock.now());

export const resumedEvent = (containerId: string): ShimEvent =>
  event("/tasks/resumed", "TaskResumed", payloads.TaskResumed, { containerId }, systemClock.now());

/** `at` in unix nanoseconds, always the same for the same kill: by it a daemon knows a repetition. */
export const oomEvent = (containerId: string, at: bigint): ShimEvent =>
  event("/tasks/oom", "TaskOOM", payloads.TaskOOM, { containerId }, at);

export interface TellExit {
  readonly execId: string;
  readonly pid: number;
  readonly exitStatus: number;
  readonly exitedAt: bigint;
}

export function exitEvent(containerId: string, { execId, pid, exitStatus, exitedAt }: TellExit): ShimEvent {
  const payload = {
    containerId,
    id: execId === "" ? containerId : execId,
    pid,
    exitStatus,
    exitedAt: timestampFromUnixNano(exitedAt),
  };
  return event("/tasks/exit", "TaskExit", payloads.TaskExit, payload, exitedAt);
}

export function deleteEvent(containerId: string, { pid, exitStatus, exitedAt }: Omit<TellExit, "execId">): ShimEvent {
  const payload = { containerId, pid, exitStatus, exitedAt: timestampFromUnixNano(exitedAt), id: "" };
  return event("/tasks/delete", "TaskDelete", payloads.TaskDelete, payload, systemClock.now());
}

/** `at` in unix nanoseconds, always the same for the same loss: by it a reader knows a repetition. */
export function lossEvent(
  containerId: string,
  { execId, bytes, lines, reason, at }: StdioLoss & { readonly execId: string; readonly at: bigint },
): ShimEvent {
  const payload = { containerId, execId, bytes: BigInt(bytes), lines: BigInt(lines), reason };
  return { topic: "/tasks/log-loss", event: anyOf("shiplog.shim.v1.LogLoss", LogLoss, payload), timestamp: at };
}
