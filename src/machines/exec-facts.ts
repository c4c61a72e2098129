/** The facts that commands about execs lead to, once both charts have allowed them. */
import { type ExecCommand, execOf, type TaskFact, type TaskState } from "./task.ts";

export function execFacts(state: TaskState, command: ExecCommand): readonly TaskFact[] {
  const { execId } = command;
  const exec = execOf(state, execId);
  switch (command.type) {
    case "AddExec":
      return [{ type: "ExecAdded", data: { execId, io: command.io, spec: command.spec } }];
    case "StartExec":
      return [{ type: "ExecStarting", data: { execId } }];
    case "RecordExecStarted":
      return exec?.status === "starting" ? [started(execId, command.pid)] : [];
    case "RecordExecStartFailed":
      return exec?.status === "starting"
        ? [{ type: "ExecStartFailed", data: { execId, message: command.message } }]
        : [];
    case "RecordExecExited": {
      const { pid, status, exitedAt, known } = command.exit;
      const exited = { type: "ExecExited", data: { execId, pid, status, exitedAt, known } } as const;
      if (exec?.status === "stopped") return [];
      return exec?.status === "running" ? [exited] : [started(execId, pid), exited];
    }
    case "CheckExecDeletable":
      return [];
    case "RecordExecDeleted": {
      const { pid, status, exitedAt, known } = command.exit;
      return exec === undefined ? [] : [{ type: "ExecDeleted", data: { execId, pid, status, exitedAt, known } }];
    }
  }
}

const started = (execId: string, pid: number): TaskFact => ({ type: "ExecStarted", data: { execId, pid } });
