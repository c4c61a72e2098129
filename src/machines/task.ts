/**
 * The task: the running side of a container, with the processes executed in it. This file owns what a task is and what can be asked of it;
 * `task-chart.ts` says when it is legal, `task-refusals.ts` why not, `task-decider.ts` and `exec-facts.ts` what facts it leads to, and
 * `task-evolve.ts` what the facts come to.
 */
import type {
  AnyValue,
  Descriptor,
  Exit,
  FactType,
  Labels,
  Mount,
  ProcessIo,
  ShimEndpoint,
  StatedFact,
} from "../events/catalogue.ts";

export type TaskFact = StatedFact<Extract<FactType, `Task${string}` | `Exec${string}`>>;

export type TaskStatus = "absent" | "creating" | "created" | "starting" | "running" | "paused" | "stopped" | "deleting";

export type ExecStatus = "added" | "starting" | "running" | "stopped";

/** A signal that was asked for and whose outcome is not yet recorded. */
export interface OpenSignal {
  readonly execId: string;
  readonly signal: number;
  readonly all: boolean;
}

/** A process that was executed in a task beside its init process. */
export interface ExecState {
  readonly status: ExecStatus;
  readonly io: ProcessIo;
  readonly spec: AnyValue | null;
  /** 0 before it ran; kept after its exit. */
  readonly pid: number;
  /** Set exactly while `stopped`. An exec that could not be started is stopped too: pid 0, status 255, not known. */
  readonly exit: Exit | null;
}

/** A task's row: the running side of a container. */
export interface TaskState {
  readonly status: TaskStatus;
  readonly bundle: string;
  readonly runtime: string;
  readonly rootfs: readonly Mount[];
  readonly io: ProcessIo;
  readonly options: AnyValue | null;
  /** The directory that it is restored from, empty for one that begins anew. */
  readonly checkpoint: string;
  /** Null until the shim has answered TaskCreate, and again once the shim is lost and not replaced. */
  readonly shim: ShimEndpoint | null;
  readonly pid: number;
  readonly exit: Exit | null;
  readonly oomed: boolean;
  /** When the kernel last killed for want of memory, unix nanoseconds; 0 when it has not. */
  readonly oomedAt: bigint;
  /** The last that were set while it exists; null while those of the spec stand. */
  readonly resources: AnyValue | null;
  readonly execs: Readonly<Record<string, ExecState>>;
  /** Signals whose outcome is open, oldest first; bounded by the daemon's number of calls under way. */
  readonly signals: readonly OpenSignal[];
  /** A checkpoint was asked for, and its outcome is not yet recorded. */
  readonly checkpointing: boolean;
  readonly createdAt: bigint;
  readonly startedAt: bigint;
}

export type TaskCommand =
  /** Intent. Rejects AlreadyExists (`task X: already exists`) when there is one in any status. */
  | {
      readonly type: "CreateTask";
      readonly id: string;
      readonly bundle: string;
      readonly runtime: string;
      readonly rootfs: readonly Mount[];
      readonly io: ProcessIo;
      readonly options: AnyValue | null;
      readonly checkpoint: string;
    }
  | { readonly type: "RecordCreated"; readonly pid: number; readonly shim: ShimEndpoint }
  | { readonly type: "RecordCreateFailed"; readonly message: string }
  /** Intent. */
  | { readonly type: "StartTask"; readonly id: string }
  /** No fact when it runs already or has ended since. */
  | { readonly type: "RecordStarted"; readonly pid: number }
  /** Like every command that reports a failure or a signal's outcome: legal in any status, no fact unless the intent is open. */
  | { readonly type: "RecordStartFailed"; readonly message: string }
  | { readonly type: "RecordPaused" }
  | { readonly type: "RecordResumed" }
  /** Intent. Rejects as containerd does: finished → NotFound "process already finished", exec not started → FailedPrecondition. */
  | {
      readonly type: "SignalTask";
      readonly id: string;
      readonly execId: string;
      readonly signal: number;
      readonly all: boolean;
    }
  | { readonly type: "RecordSignalled"; readonly execId: string; readonly signal: number; readonly all: boolean }
  | {
      readonly type: "RecordSignalFailed";
      readonly execId: string;
      readonly signal: number;
      readonly all: boolean;
      readonly message: string;
    }
  /** `at`: when the kernel killed, unix nanoseconds; what is not later than the last one is a repetition. */
  | { readonly type: "RecordOomed"; readonly at: bigint }
  | { readonly type: "RecordUpdated"; readonly resources: AnyValue | null; readonly annotations: Labels }
  /** Intent; no fact while one is under way. Rejects what neither runs nor is paused: Unknown, in the shim's words. */
  | { readonly type: "CheckpointTask"; readonly id: string; readonly path: string; readonly exit: boolean }
  | { readonly type: "RecordCheckpointed"; readonly content: readonly Descriptor[] }
  | { readonly type: "RecordCheckpointFailed"; readonly message: string }
  /** The shim is gone. The exits follow as commands of their own in the same append. */
  | { readonly type: "RecordShimLost"; readonly message: string }
  /** No fact while the task has a shim: only one that is lost is replaced. */
  | { readonly type: "RecordShimReplaced"; readonly shim: ShimEndpoint }
  /**
   * The first report wins, repeats lead to no fact. In `starting` it first states TaskStarted. Execs that still run are the caller's
   * to settle before (same append): exec exits precede the init's exit. Rejected in `creating`: TaskCreated must come first.
   */
  | { readonly type: "RecordExited"; readonly exit: Exit }
  /** Intent; no fact while a deletion is under way. Rejects a running or paused task: Unknown, "cannot delete a running process". */
  | { readonly type: "DeleteTask"; readonly id: string }
  /** States TaskExited first when no exit is recorded: deleting a created task ends its process. No fact when the task is gone. */
  | { readonly type: "RecordDeleted"; readonly exit: Exit }
  | { readonly type: "RecordDeleteFailed"; readonly message: string }
  | {
      readonly type: "AddExec";
      readonly id: string;
      readonly execId: string;
      readonly io: ProcessIo;
      readonly spec: AnyValue | null;
    }
  /** Intent. */
  | { readonly type: "StartExec"; readonly id: string; readonly execId: string }
  | { readonly type: "RecordExecStarted"; readonly execId: string; readonly pid: number }
  | { readonly type: "RecordExecStartFailed"; readonly execId: string; readonly message: string }
  /** Like RecordExited: states ExecStarted first when that is not recorded. */
  | { readonly type: "RecordExecExited"; readonly execId: string; readonly exit: Exit }
  /** Leads to no fact: rejects a running exec before the shim is asked to delete it. */
  | { readonly type: "CheckExecDeletable"; readonly id: string; readonly execId: string }
  /** After the shim has deleted it; no fact when it is gone. */
  | { readonly type: "RecordExecDeleted"; readonly execId: string; readonly exit: Exit };

/** The commands about one of the task's execs; a signal is one when it names an exec. */
export type ExecCommand = Extract<TaskCommand, { readonly type: `${string}Exec${string}` }>;
export type AboutExec = ExecCommand | Extract<TaskCommand, { readonly type: "SignalTask" }>;

/** The exec, or undefined. Own properties only: an exec may be called `constructor`. */
export const execOf = (state: TaskState, execId: string): ExecState | undefined =>
  Object.hasOwn(state.execs, execId) ? state.execs[execId] : undefined;

export const sameSignal = (a: OpenSignal, b: OpenSignal): boolean =>
  a.execId === b.execId && a.signal === b.signal && a.all === b.all;

/** True when such a signal was asked for and its outcome is not recorded. */
export const isOpenSignal = (state: TaskState, signal: OpenSignal): boolean =>
  state.signals.some((open) => sameSignal(open, signal));
