/** Tasks and execs in each of their statuses, as the facts that lead there. */
import type { ExecStatus, TaskFact, TaskStatus } from "../../src/machines/task.ts";

export const io = { stdin: "", stdout: "/out", stderr: "", terminal: false };
export const shim = { address: "unix:///s", version: 2 };
export const exit = { pid: 42, status: 137, exitedAt: 99n, known: true };
export const spec = { bundle: "/b", runtime: "io.containerd.runc.v2", rootfs: [], io, options: null, checkpoint: "" };

export const creating: TaskFact = { type: "TaskCreating", data: spec };
export const created: TaskFact = { type: "TaskCreated", data: { pid: 42, shim } };
export const starting: TaskFact = { type: "TaskStarting", data: {} };
export const started: TaskFact = { type: "TaskStarted", data: { pid: 42 } };
export const paused: TaskFact = { type: "TaskPaused", data: {} };
export const exited: TaskFact = { type: "TaskExited", data: exit };
export const deleting: TaskFact = { type: "TaskDeleting", data: {} };
export const deleted: TaskFact = { type: "TaskDeleted", data: exit };

const running = [creating, created, starting, started];

export const taskIn: Readonly<Record<TaskStatus, readonly TaskFact[]>> = {
  absent: [],
  creating: [creating],
  created: [creating, created],
  starting: [creating, created, starting],
  running,
  paused: [...running, paused],
  stopped: [...running, exited],
  deleting: [...running, exited, deleting],
};

/** A created task that is being deleted: its process may still live. */
export const deletingUnstarted: readonly TaskFact[] = [creating, created, deleting];

export const execId = "constructor";
export const execAdded: TaskFact = { type: "ExecAdded", data: { execId, io, spec: null } };
export const execStarting: TaskFact = { type: "ExecStarting", data: { execId } };
export const execStarted: TaskFact = { type: "ExecStarted", data: { execId, pid: 43 } };
export const execExit = { pid: 43, status: 1, exitedAt: 98n, known: true };
export const execExited: TaskFact = { type: "ExecExited", data: { execId, ...execExit } };
export const execStartFailed: TaskFact = { type: "ExecStartFailed", data: { execId, message: "m" } };
export const execDeleted: TaskFact = { type: "ExecDeleted", data: { execId, ...execExit } };

/** The facts about the exec, for use after those of a task. */
export const execIn: Readonly<Record<ExecStatus, readonly TaskFact[]>> = {
  added: [execAdded],
  starting: [execAdded, execStarting],
  running: [execAdded, execStarting, execStarted],
  stopped: [execAdded, execStarting, execStarted, execExited],
};
