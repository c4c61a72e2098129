/** What a task's facts come to. */
import type { Exit } from "../events/catalogue.ts";
import { type Timed, unknownFact } from "./decider.ts";
import { type ExecState, execOf, type OpenSignal, sameSignal, type TaskFact, type TaskState } from "./task.ts";

export const noTask: TaskState = {
  status: "absent",
  bundle: "",
  runtime: "",
  rootfs: [],
  io: { stdin: "", stdout: "", stderr: "", terminal: false },
  options: null,
  checkpoint: "",
  shim: null,
  pid: 0,
  exit: null,
  oomed: false,
  oomedAt: 0n,
  resources: null,
  execs: {},
  signals: [],
  checkpointing: false,
  createdAt: 0n,
  startedAt: 0n,
};

export function evolveTask(state: TaskState, fact: Timed<TaskFact>): TaskState {
  switch (fact.type) {
    case "TaskCreating": {
      const { bundle, runtime, rootfs, io, options, checkpoint } = fact.data;
      return { ...noTask, status: "creating", bundle, runtime, rootfs, io, options, checkpoint, createdAt: fact.time };
    }
    case "TaskCreated":
      return { ...state, status: "created", pid: fact.data.pid, shim: fact.data.shim };
    case "TaskStarting":
      return { ...state, status: "starting" };
    case "TaskStarted":
      return { ...state, status: "running", pid: fact.data.pid, startedAt: fact.time };
    case "TaskStartFailed":
      return { ...state, status: "created" };
    case "TaskPaused":
      return { ...state, status: "paused" };
    case "TaskResumed":
      return { ...state, status: "running" };
    case "TaskSignalling": {
      const { execId, signal, all } = fact.data;
      return { ...state, signals: [...state.signals, { execId, signal, all }] };
    }
    case "TaskSignalled":
    case "TaskSignalFailed":
      return { ...state, signals: withoutFirst(state.signals, fact.data) };
    case "TaskOomed":
      return { ...state, oomed: true, oomedAt: fact.data.at ?? fact.time };
    case "TaskUpdated":
      return { ...state, resources: fact.data.resources ?? state.resources };
    case "TaskCheckpointing":
      return { ...state, checkpointing: true };
    case "TaskCheckpointed":
    case "TaskCheckpointFailed":
      return { ...state, checkpointing: false };
    case "TaskShimLost":
      return { ...state, shim: null };
    case "TaskShimReplaced":
      return { ...state, shim: fact.data.shim };
    case "TaskExited":
      return { ...state, status: state.status === "deleting" ? "deleting" : "stopped", exit: exitOf(fact.data) };
    case "TaskDeleting":
      return { ...state, status: "deleting" };
    case "TaskDeleteFailed":
      return { ...state, status: state.exit === null ? "created" : "stopped" };
    case "TaskCreateFailed":
    case "TaskDeleted":
      return noTask;
    case "ExecAdded": {
      const { execId, io, spec } = fact.data;
      return withExec(state, execId, { status: "added", io, spec, pid: 0, exit: null });
    }
    case "ExecStarting":
      return changeExec(state, fact.data.execId, (exec) => ({ ...exec, status: "starting" }));
    case "ExecStarted":
      return changeExec(state, fact.data.execId, (exec) => ({ ...exec, status: "running", pid: fact.data.pid }));
    case "ExecStartFailed":
      // It never ran, yet nobody may wait for it any longer; containerd's shim lets go of its waiters here too (pkg/process/exec.go).
      return changeExec(state, fact.data.execId, (exec) => ({
        ...exec,
        status: "stopped",
        exit: { pid: 0, status: 255, exitedAt: fact.time, known: false },
      }));
    case "ExecExited":
      return changeExec(state, fact.data.execId, (exec) => ({ ...exec, status: "stopped", exit: exitOf(fact.data) }));
    case "ExecDeleted": {
      const others = Object.entries(state.execs).filter(([execId]) => execId !== fact.data.execId);
      return { ...state, execs: Object.fromEntries(others) };
    }
    default:
      return unknownFact(state, fact);
  }
}

const exitOf = ({ pid, status, exitedAt, known }: Exit): Exit => ({ pid, status, exitedAt, known });

const withExec = (state: TaskState, execId: string, exec: ExecState): TaskState => ({
  ...state,
  execs: { ...state.execs, [execId]: exec },
});

function changeExec(state: TaskState, execId: string, change: (exec: ExecState) => ExecState): TaskState {
  const exec = execOf(state, execId);
  return exec === undefined ? state : withExec(state, execId, change(exec));
}

function withoutFirst(signals: readonly OpenSignal[], closed: OpenSignal): readonly OpenSignal[] {
  const index = signals.findIndex((open) => sameSignal(open, closed));
  return index === -1 ? signals : signals.toSpliced(index, 1);
}
