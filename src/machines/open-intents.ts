/** What a task has begun and not brought to an end, read off its row: after a crash, recovery finds out what is true and records it. */
import type { OpenSignal, TaskState } from "./task.ts";

export interface OpenIntents {
  /** Closed by RecordCreated or RecordCreateFailed. */
  readonly create: boolean;
  /** Closed by RecordStarted, RecordStartFailed or RecordExited. */
  readonly start: boolean;
  /** Closed by RecordDeleted or RecordDeleteFailed. */
  readonly delete: boolean;
  /** Ids of execs, each closed by RecordExecStarted, RecordExecStartFailed or RecordExecExited. */
  readonly execStarts: readonly string[];
  /** Oldest first, each closed by RecordSignalled or RecordSignalFailed. */
  readonly signals: readonly OpenSignal[];
  /** Closed by RecordCheckpointed or RecordCheckpointFailed. */
  readonly checkpoint: boolean;
}

export const openIntents = (task: TaskState): OpenIntents => ({
  create: task.status === "creating",
  start: task.status === "starting",
  delete: task.status === "deleting",
  execStarts: Object.entries(task.execs).flatMap(([execId, exec]) => (exec.status === "starting" ? [execId] : [])),
  signals: task.signals,
  checkpoint: task.checkpointing,
});
