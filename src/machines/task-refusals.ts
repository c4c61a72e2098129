/**
 * Why a task's command is refused, in the words of containerd's daemon and shim, for clients match on them. Read in services/tasks/local.go,
 * runtime/v2/runc/task/service.go and pkg/process, and checked against the messages that containerd 1.6.20 sends.
 */
import type { Rejection } from "./decider.ts";
import { rejection } from "./rejection.ts";
import type { AboutExec, ExecState, TaskCommand, TaskState, TaskStatus } from "./task.ts";

/** Why the command is illegal in the task's status. Call it only when the task's chart says that it is. */
export function refuseTask({ status }: TaskState, command: TaskCommand): Rejection {
  if (command.type === "CreateTask") return rejection("AlreadyExists", "TaskExists", `task ${command.id}`);
  if (status === "absent") {
    const message = "id" in command ? `task ${command.id} not found` : "task not found";
    return { rejected: "NotFound", reason: "TaskAbsent", message };
  }
  const reason = `TaskIs${capitalized(status)}`;
  if (command.type === "DeleteTask") {
    return status === "creating" || status === "starting"
      ? rejection("FailedPrecondition", reason, `failed to delete task: task ${command.id} is ${status}`)
      : rejection("Unknown", reason, `failed to delete task: cannot delete a ${processState(status)} process`);
  }
  if (status === "creating" && !isReport(command)) return rejection("NotFound", reason, "container not created");
  switch (command.type) {
    case "StartTask":
      return status === "starting"
        ? rejection("FailedPrecondition", reason, `task ${command.id} is starting`)
        : rejection("Unknown", reason, `cannot start a ${processState(status)} process`);
    case "RecordPaused":
      return rejection("Unknown", reason, `cannot pause ${pausable(status)}`);
    case "RecordResumed":
      return rejection("Unknown", reason, `cannot resume ${pausable(status)}`);
    case "CheckpointTask":
      return rejection("Unknown", reason, `cannot checkpoint ${checkpointable(status)}`);
    case "SignalTask":
      return processFinished();
    case "StartExec":
      if (status !== "paused") {
        return rejection("FailedPrecondition", reason, `container ${command.id} init process is not running`);
      }
      return rejection("Unknown", reason, "cannot exec in a paused state");
    case "AddExec":
      return rejection("Unknown", reason, `cannot exec in a ${processState(status)} state`);
    default:
      return rejection("FailedPrecondition", reason, `${command.type} is out of place: task is ${status}`);
  }
}

/** Why the command is illegal in the exec's status. Call it only when the exec's chart says that it is. */
export function refuseExec(exec: ExecState | undefined, command: AboutExec): Rejection {
  if (exec === undefined) return rejection("NotFound", "ExecAbsent", `process does not exist ${command.execId}`);
  const { status } = exec;
  const reason = `ExecIs${capitalized(status)}`;
  switch (command.type) {
    case "AddExec":
      return rejection("AlreadyExists", "ExecExists", `id ${command.execId}`);
    case "SignalTask":
      return exec.pid === 0 ? rejection("FailedPrecondition", reason, "process not created") : processFinished();
    case "StartExec":
    case "CheckExecDeletable": {
      if (status === "starting")
        return rejection("FailedPrecondition", reason, `process ${command.execId} is starting`);
      const verb = command.type === "StartExec" ? "start" : "delete";
      return rejection("Unknown", reason, `cannot ${verb} a ${status} process`);
    }
    default:
      return rejection(
        "FailedPrecondition",
        reason,
        `${command.type} is out of place: process ${command.execId} is ${status}`,
      );
  }
}

const processFinished = (): Rejection => rejection("NotFound", "ProcessFinished", "process already finished");

/** What is recorded when it has happened, without a client who asked for just that. */
const isReport = ({ type }: TaskCommand): boolean =>
  type.startsWith("Record") && type !== "RecordPaused" && type !== "RecordResumed";

/** The shim's word for the status. */
function processState(status: TaskStatus): string {
  if (status === "starting") return "created";
  return status === "deleting" ? "deleted" : status;
}

/** The shim's words for what it cannot pause or resume. */
function pausable(status: TaskStatus): string {
  if (status === "created" || status === "starting") return "task in created state";
  return status === "deleting" ? "a deleted process" : `a ${status} container`;
}

/** And what it cannot checkpoint. */
function checkpointable(status: TaskStatus): string {
  return status === "created" || status === "starting" ? "a task in created state" : pausable(status);
}

const capitalized = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);
