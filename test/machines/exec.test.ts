import assert from "node:assert/strict";
import test from "node:test";
import { taskDecider } from "../../src/machines/task-decider.ts";
import { execOf, type ExecStatus, type TaskCommand, type TaskFact, type TaskStatus } from "../../src/machines/task.ts";
import { fold, specify } from "./specification.ts";
import * as stage from "./task-stages.ts";
import { execAdded, execDeleted, execExit, execExited, execId, execIn, execStarted, taskIn } from "./task-stages.ts";

const { given } = specify(taskDecider);
const id = "t";
const message = "m";
const add: TaskCommand = { type: "AddExec", id, execId, io: stage.io, spec: null };
const start: TaskCommand = { type: "StartExec", id, execId };
const recordStarted: TaskCommand = { type: "RecordExecStarted", execId, pid: 43 };
const recordStartFailed: TaskCommand = { type: "RecordExecStartFailed", execId, message };
const recordExited: TaskCommand = { type: "RecordExecExited", execId, exit: execExit };
const recordDeleted: TaskCommand = { type: "RecordExecDeleted", execId, exit: execExit };
const check: TaskCommand = { type: "CheckExecDeletable", id, execId };
const signal = { execId, signal: 9, all: false };
const kill: TaskCommand = { type: "SignalTask", id, ...signal };

type Status = ExecStatus | "absent";
const facts = (task: TaskStatus, exec: Status) => [...taskIn[task], ...(exec === "absent" ? [] : execIn[exec])];

/** Command, the exec's status in a running task, facts, the exec's status after. */
const accepted: readonly (readonly [TaskCommand, Status, readonly TaskFact[], Status])[] = [
  [add, "absent", [execAdded], "added"],
  [start, "added", [stage.execStarting], "starting"],
  [recordStarted, "starting", [execStarted], "running"],
  [recordStarted, "running", [], "running"],
  [recordStarted, "stopped", [], "stopped"],
  [recordStartFailed, "starting", [stage.execStartFailed], "stopped"],
  [recordStartFailed, "absent", [], "absent"],
  [recordStartFailed, "added", [], "added"],
  [recordStartFailed, "running", [], "running"],
  [recordStartFailed, "stopped", [], "stopped"],
  [recordExited, "starting", [execStarted, execExited], "stopped"],
  [recordExited, "running", [execExited], "stopped"],
  [recordExited, "stopped", [], "stopped"],
  [check, "added", [], "added"],
  [check, "stopped", [], "stopped"],
  [recordDeleted, "added", [execDeleted], "absent"],
  [recordDeleted, "stopped", [execDeleted], "absent"],
  [recordDeleted, "absent", [], "absent"],
  [kill, "starting", [{ type: "TaskSignalling", data: signal }], "starting"],
  [kill, "running", [{ type: "TaskSignalling", data: signal }], "running"],
];

for (const [command, status, expected, after] of accepted) {
  test(`an exec that is ${status} takes ${command.type} and is ${after}`, () => {
    const state = given(...facts("running", status))
      .when(command)
      .decides(...expected);
    assert.equal(execOf(state, execId)?.status ?? "absent", after);
    assert.equal(state.status, "running");
  });
}

/** Command, the task's and the exec's status, class, message. */
const refusals: readonly (readonly [TaskCommand, TaskStatus, Status, string, string])[] = [
  [add, "absent", "absent", "NotFound", "task t not found"],
  [add, "creating", "absent", "NotFound", "container not created: not found"],
  [add, "running", "added", "AlreadyExists", "id constructor: already exists"],
  [add, "running", "stopped", "AlreadyExists", "id constructor: already exists"],
  [add, "paused", "running", "AlreadyExists", "id constructor: already exists"],
  [add, "paused", "absent", "Unknown", "cannot exec in a paused state: unknown"],
  [add, "stopped", "absent", "Unknown", "cannot exec in a stopped state: unknown"],
  [add, "deleting", "absent", "Unknown", "cannot exec in a deleted state: unknown"],
  [start, "absent", "absent", "NotFound", "task t not found"],
  [start, "running", "absent", "NotFound", "process does not exist constructor: not found"],
  [start, "paused", "absent", "NotFound", "process does not exist constructor: not found"],
  [start, "running", "starting", "FailedPrecondition", "process constructor is starting: failed precondition"],
  [start, "running", "running", "Unknown", "cannot start a running process: unknown"],
  [start, "running", "stopped", "Unknown", "cannot start a stopped process: unknown"],
  [start, "paused", "added", "Unknown", "cannot exec in a paused state: unknown"],
  [start, "stopped", "added", "FailedPrecondition", "container t init process is not running: failed precondition"],
  [kill, "running", "absent", "NotFound", "process does not exist constructor: not found"],
  [kill, "running", "added", "FailedPrecondition", "process not created: failed precondition"],
  [kill, "running", "stopped", "NotFound", "process already finished: not found"],
  [kill, "stopped", "running", "NotFound", "process already finished: not found"],
  [check, "absent", "absent", "NotFound", "task t not found"],
  [check, "running", "absent", "NotFound", "process does not exist constructor: not found"],
  [check, "running", "starting", "FailedPrecondition", "process constructor is starting: failed precondition"],
  [check, "running", "running", "Unknown", "cannot delete a running process: unknown"],
  [recordStarted, "running", "absent", "NotFound", "process does not exist constructor: not found"],
  [
    recordDeleted,
    "running",
    "running",
    "FailedPrecondition",
    "RecordExecDeleted is out of place: process constructor is running: failed precondition",
  ],
  [
    recordExited,
    "running",
    "added",
    "FailedPrecondition",
    "RecordExecExited is out of place: process constructor is added: failed precondition",
  ],
];

for (const [command, task, exec, rejected, said] of refusals) {
  test(`an exec that is ${exec} in a task that is ${task} refuses ${command.type}`, () => {
    const decided = taskDecider.decide(fold(taskDecider, facts(task, exec)), command);
    const { reason, ...rest } = decided as { reason: string };
    assert.deepEqual(rest, { rejected, message: said });
    assert.match(reason, /^(TaskAbsent|ExecExists|ExecAbsent|ProcessFinished|(Task|Exec)Is[A-Z][a-z]+)$/);
  });
}

test("an exec is added and started in a task that is created, starting or running", () => {
  for (const task of ["created", "starting", "running"] as const) {
    given(...taskIn[task])
      .when(add)
      .decides(execAdded);
    given(...facts(task, "added"))
      .when(start)
      .decides(stage.execStarting);
  }
});

test("what becomes of an exec can be recorded in every task that the shim knows", () => {
  for (const task of ["created", "starting", "running", "paused", "stopped", "deleting"] as const) {
    given(...facts(task, "starting"))
      .when(recordStarted)
      .decides(execStarted);
    given(...facts(task, "running"))
      .when(recordExited)
      .decides(execExited);
    given(...facts(task, "stopped"))
      .when(check)
      .decides();
    given(...facts(task, "stopped"))
      .when(recordDeleted)
      .decides(execDeleted);
  }
});

test("an exec's row keeps its pid and exit until it is deleted", () => {
  const state = given(...facts("running", "running"))
    .when(recordExited)
    .decides(execExited);
  assert.deepEqual(execOf(state, execId), { status: "stopped", io: stage.io, spec: null, pid: 43, exit: execExit });
});

test("an exec that could not be started has ended without having run", () => {
  const failed = given(...facts("running", "starting"))
    .when(recordStartFailed)
    .decides(stage.execStartFailed);
  const exec = execOf(failed, execId);
  assert.deepEqual(exec?.exit, { pid: 0, status: 255, exitedAt: 7n, known: false });
  const never = [...facts("running", "starting"), stage.execStartFailed];
  given(...never)
    .when(kill)
    .rejects("FailedPrecondition", "ExecIsStopped", "process not created: failed precondition");
  given(...never)
    .when(start)
    .rejects("Unknown", "ExecIsStopped", "cannot start a stopped process: unknown");
  given(...never)
    .when(recordExited)
    .decides();
  given(...never)
    .when(recordDeleted)
    .decides(execDeleted);
});

test("execs do not touch each other", () => {
  const other: TaskFact = { type: "ExecAdded", data: { execId: "e", io: stage.io, spec: null } };
  const state = given(...facts("running", "stopped"), other)
    .when(recordDeleted)
    .decides(execDeleted);
  assert.deepEqual(Object.keys(state.execs), ["e"]);
});
