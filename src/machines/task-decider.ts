/** The task's decider: the charts say whether a command is legal, this file what facts it leads to. */
import type { Exit } from "../events/catalogue.ts";
import type { Decider } from "./decider.ts";
import { execFacts } from "./exec-facts.ts";
import { execChart, taskChart } from "./task-chart.ts";
import { evolveTask, noTask } from "./task-evolve.ts";
import { refuseExec, refuseTask } from "./task-refusals.ts";
import {
  type AboutExec,
  type ExecCommand,
  execOf,
  isOpenSignal,
  type TaskCommand,
  type TaskFact,
  type TaskState,
} from "./task.ts";

export const taskDecider: Decider<TaskState, TaskCommand, TaskFact> = {
  kind: "task",
  chart: taskChart,
  initialState: noTask,
  decide(state, command) {
    const legal = taskChart.next(state.status, command.type, conditions(state)) !== undefined;
    const known = state.status !== "absent" && state.status !== "creating";
    // The shim looks for the exec, and at it, before it minds in what state the task is.
    if (isAboutExec(command) && (legal || known)) {
      const exec = execOf(state, command.execId);
      if (execChart.next(exec?.status ?? "absent", command.type) === undefined) return refuseExec(exec, command);
    }
    if (!legal) return refuseTask(state, command);
    return isExecCommand(command) ? execFacts(state, command) : taskFacts(state, command);
  },
  evolve: evolveTask,
  isTerminal: (state) => state.status === "absent",
};

/** The chart's conditions that hold of the state. */
export const conditions = (state: TaskState): readonly string[] => (state.exit === null ? [] : ["exited"]);

const isExecCommand = (command: TaskCommand): command is ExecCommand => command.type.includes("Exec");

export const isAboutExec = (command: TaskCommand): command is AboutExec =>
  command.type === "SignalTask" ? command.execId !== "" : isExecCommand(command);

/** The facts of a command that both charts allow. */
function taskFacts(state: TaskState, command: Exclude<TaskCommand, ExecCommand>): readonly TaskFact[] {
  const { status } = state;
  switch (command.type) {
    case "CreateTask": {
      const { bundle, runtime, rootfs, io, options, checkpoint } = command;
      return [{ type: "TaskCreating", data: { bundle, runtime, rootfs, io, options, checkpoint } }];
    }
    case "RecordCreated":
      return [{ type: "TaskCreated", data: { pid: command.pid, shim: command.shim } }];
    case "RecordCreateFailed":
      return [{ type: "TaskCreateFailed", data: { message: command.message } }];
    case "StartTask":
      return [{ type: "TaskStarting", data: {} }];
    case "RecordStarted":
      return status === "created" || status === "starting" ? [{ type: "TaskStarted", data: { pid: command.pid } }] : [];
    case "RecordStartFailed":
      return status === "starting" ? [{ type: "TaskStartFailed", data: { message: command.message } }] : [];
    case "RecordPaused":
      return status === "running" ? [{ type: "TaskPaused", data: {} }] : [];
    case "RecordResumed":
      return status === "paused" ? [{ type: "TaskResumed", data: {} }] : [];
    case "SignalTask": {
      const { execId, signal, all } = command;
      return [{ type: "TaskSignalling", data: { execId, signal, all } }];
    }
    case "RecordSignalled": {
      const { execId, signal, all } = command;
      return isOpenSignal(state, command) ? [{ type: "TaskSignalled", data: { execId, signal, all } }] : [];
    }
    case "RecordSignalFailed": {
      const { execId, signal, all, message } = command;
      return isOpenSignal(state, command) ? [{ type: "TaskSignalFailed", data: { execId, signal, all, message } }] : [];
    }
    case "RecordOomed":
      return command.at > state.oomedAt ? [{ type: "TaskOomed", data: { at: command.at } }] : [];
    case "RecordUpdated":
      return [{ type: "TaskUpdated", data: { resources: command.resources, annotations: command.annotations } }];
    case "CheckpointTask": {
      const { path, exit } = command;
      return state.checkpointing ? [] : [{ type: "TaskCheckpointing", data: { path, exit } }];
    }
    case "RecordCheckpointed":
      return state.checkpointing ? [{ type: "TaskCheckpointed", data: { content: command.content } }] : [];
    case "RecordCheckpointFailed":
      return state.checkpointing ? [{ type: "TaskCheckpointFailed", data: { message: command.message } }] : [];
    case "RecordShimLost":
      return state.shim === null ? [] : [{ type: "TaskShimLost", data: { message: command.message } }];
    case "RecordShimReplaced":
      return state.shim === null ? [{ type: "TaskShimReplaced", data: { shim: command.shim } }] : [];
    case "RecordExited":
      if (state.exit !== null) return [];
      if (status !== "starting") return [exited(state, command.exit)];
      return [{ type: "TaskStarted", data: { pid: state.pid } }, exited(state, command.exit)];
    case "DeleteTask":
      return status === "deleting" ? [] : [{ type: "TaskDeleting", data: {} }];
    case "RecordDeleted": {
      if (status === "absent") return [];
      const deleted = { type: "TaskDeleted", data: exitData(command.exit) } as const;
      return state.exit === null ? [exited(state, command.exit), deleted] : [deleted];
    }
    case "RecordDeleteFailed":
      return status === "deleting" ? [{ type: "TaskDeleteFailed", data: { message: command.message } }] : [];
  }
}

const SIGKILL_STATUS = 128 + 9;

/** Why a container ended is asked of its exit, so what came before it is said there again. */
const exited = ({ oomed }: TaskState, exit: Exit): TaskFact => {
  const oomKilled = oomed && exit.status === SIGKILL_STATUS;
  return { type: "TaskExited", data: { ...exitData(exit), ...(oomKilled ? { oomKilled } : {}) } };
};

const exitData = ({ pid, status, exitedAt, known }: Exit): Exit => ({ pid, status, exitedAt, known });
