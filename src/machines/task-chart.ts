/**
 * The charts of a task's init process and of an exec. A command about an exec must be legal on both: on the task's chart, where it changes
 * nothing, and on the exec's. What a runtime reports is legal wherever it can be true, for reports overtake each other; what a client asks
 * is legal where containerd's shim accepts it (pkg/process/init_state.go, exec_state.go).
 */
import { buildChart, stay } from "./chart.ts";
import type { ExecStatus, TaskCommand, TaskStatus } from "./task.ts";

/** Answers to intents that something else may have closed by now: legal everywhere, and then no fact. */
const answers = [
  "RecordStartFailed",
  "RecordSignalled",
  "RecordSignalFailed",
  "RecordDeleteFailed",
  "RecordExecStartFailed",
  "RecordCheckpointed",
  "RecordCheckpointFailed",
] as const;

/** What may be reported of any task that the shim has created. */
const reports = [
  "RecordOomed",
  "RecordUpdated",
  "RecordShimLost",
  "RecordShimReplaced",
  "RecordExecStarted",
  "RecordExecExited",
  "RecordExecDeleted",
  "CheckExecDeletable",
] as const;

export const taskChart = buildChart<TaskStatus, TaskCommand["type"]>("task", "absent", {
  absent: { ...stay("absent", ["RecordDeleted", ...answers]), CreateTask: "creating" },
  creating: {
    ...stay("creating", ["RecordShimLost", ...answers]),
    RecordCreated: "created",
    RecordCreateFailed: "absent",
  },
  created: {
    ...stay("created", ["SignalTask", "AddExec", "StartExec", ...reports, ...answers]),
    StartTask: "starting",
    RecordStarted: "running",
    RecordExited: "stopped",
    DeleteTask: "deleting",
    RecordDeleted: "absent",
  },
  starting: {
    ...stay("starting", ["SignalTask", "AddExec", "StartExec", ...reports, ...answers]),
    RecordStarted: "running",
    RecordStartFailed: "created",
    RecordExited: "stopped",
  },
  running: {
    ...stay("running", [
      "SignalTask",
      "CheckpointTask",
      "AddExec",
      "StartExec",
      "RecordStarted",
      "RecordResumed",
      ...reports,
      ...answers,
    ]),
    RecordPaused: "paused",
    RecordExited: "stopped",
  },
  paused: {
    ...stay("paused", ["SignalTask", "CheckpointTask", "RecordStarted", "RecordPaused", ...reports, ...answers]),
    RecordResumed: "running",
    RecordExited: "stopped",
  },
  stopped: {
    ...stay("stopped", ["RecordStarted", "RecordExited", ...reports, ...answers]),
    DeleteTask: "deleting",
    RecordDeleted: "absent",
  },
  deleting: {
    ...stay("deleting", ["DeleteTask", "RecordStarted", "RecordExited", ...reports, ...answers]),
    RecordDeleted: "absent",
    RecordDeleteFailed: { when: "exited", to: "stopped", otherwise: "created" },
  },
});

/** `absent`: the task has no such exec. */
export const execChart = buildChart<"absent" | ExecStatus, TaskCommand["type"]>("exec", "absent", {
  absent: { ...stay("absent", ["RecordExecStartFailed", "RecordExecDeleted"]), AddExec: "added" },
  added: {
    ...stay("added", ["RecordExecStartFailed", "CheckExecDeletable"]),
    StartExec: "starting",
    RecordExecDeleted: "absent",
  },
  starting: {
    ...stay("starting", ["SignalTask"]),
    RecordExecStarted: "running",
    RecordExecStartFailed: "stopped",
    RecordExecExited: "stopped",
  },
  running: {
    ...stay("running", ["SignalTask", "RecordExecStarted", "RecordExecStartFailed"]),
    RecordExecExited: "stopped",
  },
  stopped: {
    ...stay("stopped", ["RecordExecStarted", "RecordExecStartFailed", "RecordExecExited", "CheckExecDeletable"]),
    RecordExecDeleted: "absent",
  },
});
