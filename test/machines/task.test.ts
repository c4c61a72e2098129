import assert from "node:assert/strict";
import test from "node:test";
import { taskDecider } from "../../src/machines/task-decider.ts";
import type { TaskCommand, TaskFact, TaskStatus } from "../../src/machines/task.ts";
import { fold, specify } from "./specification.ts";
import * as stage from "./task-stages.ts";
import { exit, exited, shim, started, taskIn } from "./task-stages.ts";

const { given } = specify(taskDecider);
const id = "t";
const create: TaskCommand = { type: "CreateTask", id, ...stage.spec };
const recordCreated: TaskCommand = { type: "RecordCreated", pid: 42, shim };
const recordStarted: TaskCommand = { type: "RecordStarted", pid: 42 };
const recordExited: TaskCommand = { type: "RecordExited", exit };
const recordDeleted: TaskCommand = { type: "RecordDeleted", exit };
const checkpoint: TaskCommand = { type: "CheckpointTask", id, path: "", exit: true };
const checkpointing: TaskFact = { type: "TaskCheckpointing", data: { path: "", exit: true } };
const signal = { execId: "", signal: 9, all: false };
const signalling: TaskFact = { type: "TaskSignalling", data: signal };
const message = "m";

/** Command, status, facts, status after. */
const accepted: readonly (readonly [TaskCommand, TaskStatus, readonly TaskFact[], TaskStatus])[] = [
  [create, "absent", [stage.creating], "creating"],
  [recordCreated, "creating", [stage.created], "created"],
  [{ type: "RecordCreateFailed", message }, "creating", [{ type: "TaskCreateFailed", data: { message } }], "absent"],
  [{ type: "StartTask", id }, "created", [stage.starting], "starting"],
  [recordStarted, "starting", [started], "running"],
  [recordStarted, "created", [started], "running"],
  [{ type: "RecordStartFailed", message }, "starting", [{ type: "TaskStartFailed", data: { message } }], "created"],
  [{ type: "RecordPaused" }, "running", [stage.paused], "paused"],
  [{ type: "RecordResumed" }, "paused", [{ type: "TaskResumed", data: {} }], "running"],
  [recordExited, "created", [exited], "stopped"],
  [recordExited, "starting", [started, exited], "stopped"],
  [recordExited, "running", [exited], "stopped"],
  [recordExited, "paused", [exited], "stopped"],
  [{ type: "DeleteTask", id }, "created", [stage.deleting], "deleting"],
  [{ type: "DeleteTask", id }, "stopped", [stage.deleting], "deleting"],
  [{ type: "RecordDeleteFailed", message }, "deleting", [{ type: "TaskDeleteFailed", data: { message } }], "stopped"],
  [recordDeleted, "deleting", [stage.deleted], "absent"],
  [recordDeleted, "stopped", [stage.deleted], "absent"],
  [recordDeleted, "created", [exited, stage.deleted], "absent"],
];

for (const [command, status, facts, after] of accepted) {
  test(`a task that is ${status} takes ${command.type} and is ${after}`, () => {
    assert.equal(
      given(...taskIn[status])
        .when(command)
        .decides(...facts).status,
      after,
    );
  });
}

/** What holds already, or was settled by something else, is no fact. */
const settled: readonly (readonly [TaskCommand, readonly TaskStatus[]])[] = [
  [recordStarted, ["running", "paused", "stopped", "deleting"]],
  [{ type: "RecordPaused" }, ["paused"]],
  [{ type: "RecordResumed" }, ["running"]],
  [recordExited, ["stopped", "deleting"]],
  [{ type: "DeleteTask", id }, ["deleting"]],
  [recordDeleted, ["absent"]],
  [
    { type: "RecordCheckpointed", content: [] },
    ["absent", "creating", "created", "starting", "running", "paused", "stopped", "deleting"],
  ],
  [
    { type: "RecordCheckpointFailed", message },
    ["absent", "creating", "created", "starting", "running", "paused", "stopped", "deleting"],
  ],
  [{ type: "RecordShimLost", message }, ["creating"]],
  [
    { type: "RecordShimReplaced", shim: { address: "unix:///other", version: 2 } },
    ["created", "starting", "running", "paused", "stopped", "deleting"],
  ],
  [
    { type: "RecordStartFailed", message },
    ["absent", "creating", "created", "running", "paused", "stopped", "deleting"],
  ],
  [
    { type: "RecordDeleteFailed", message },
    ["absent", "creating", "created", "starting", "running", "paused", "stopped"],
  ],
  [
    { type: "RecordSignalled", ...signal },
    ["absent", "creating", "created", "starting", "running", "paused", "stopped", "deleting"],
  ],
  [
    { type: "RecordSignalFailed", ...signal, message },
    ["absent", "creating", "created", "starting", "running", "paused", "stopped", "deleting"],
  ],
];

for (const [command, statuses] of settled) {
  test(`${command.type} is no fact when the task is ${statuses.join(" or ")}`, () => {
    for (const status of statuses)
      given(...taskIn[status])
        .when(command)
        .decides();
  });
}

const refusals: readonly (readonly [TaskCommand, TaskStatus, string, string])[] = [
  [create, "creating", "AlreadyExists", "task t: already exists"],
  [create, "stopped", "AlreadyExists", "task t: already exists"],
  [{ type: "StartTask", id }, "absent", "NotFound", "task t not found"],
  [{ type: "StartTask", id }, "creating", "NotFound", "container not created: not found"],
  [{ type: "StartTask", id }, "starting", "FailedPrecondition", "task t is starting: failed precondition"],
  [{ type: "StartTask", id }, "running", "Unknown", "cannot start a running process: unknown"],
  [{ type: "StartTask", id }, "paused", "Unknown", "cannot start a paused process: unknown"],
  [{ type: "StartTask", id }, "stopped", "Unknown", "cannot start a stopped process: unknown"],
  [{ type: "StartTask", id }, "deleting", "Unknown", "cannot start a deleted process: unknown"],
  [{ type: "RecordPaused" }, "absent", "NotFound", "task not found"],
  [{ type: "RecordPaused" }, "creating", "NotFound", "container not created: not found"],
  [{ type: "RecordPaused" }, "created", "Unknown", "cannot pause task in created state: unknown"],
  [{ type: "RecordPaused" }, "starting", "Unknown", "cannot pause task in created state: unknown"],
  [{ type: "RecordPaused" }, "stopped", "Unknown", "cannot pause a stopped container: unknown"],
  [{ type: "RecordPaused" }, "deleting", "Unknown", "cannot pause a deleted process: unknown"],
  [{ type: "RecordResumed" }, "created", "Unknown", "cannot resume task in created state: unknown"],
  [{ type: "RecordResumed" }, "stopped", "Unknown", "cannot resume a stopped container: unknown"],
  [checkpoint, "absent", "NotFound", "task t not found"],
  [checkpoint, "creating", "NotFound", "container not created: not found"],
  [checkpoint, "created", "Unknown", "cannot checkpoint a task in created state: unknown"],
  [checkpoint, "starting", "Unknown", "cannot checkpoint a task in created state: unknown"],
  [checkpoint, "stopped", "Unknown", "cannot checkpoint a stopped container: unknown"],
  [checkpoint, "deleting", "Unknown", "cannot checkpoint a deleted process: unknown"],
  [{ type: "SignalTask", id, ...signal }, "absent", "NotFound", "task t not found"],
  [{ type: "SignalTask", id, ...signal }, "creating", "NotFound", "container not created: not found"],
  [{ type: "SignalTask", id, ...signal }, "stopped", "NotFound", "process already finished: not found"],
  [{ type: "SignalTask", id, ...signal }, "deleting", "NotFound", "process already finished: not found"],
  [{ type: "DeleteTask", id }, "absent", "NotFound", "task t not found"],
  [
    { type: "DeleteTask", id },
    "creating",
    "FailedPrecondition",
    "failed to delete task: task t is creating: failed precondition",
  ],
  [
    { type: "DeleteTask", id },
    "starting",
    "FailedPrecondition",
    "failed to delete task: task t is starting: failed precondition",
  ],
  [{ type: "DeleteTask", id }, "running", "Unknown", "failed to delete task: cannot delete a running process: unknown"],
  [{ type: "DeleteTask", id }, "paused", "Unknown", "failed to delete task: cannot delete a paused process: unknown"],
  [recordExited, "absent", "NotFound", "task not found"],
  [
    recordExited,
    "creating",
    "FailedPrecondition",
    "RecordExited is out of place: task is creating: failed precondition",
  ],
  [
    recordCreated,
    "created",
    "FailedPrecondition",
    "RecordCreated is out of place: task is created: failed precondition",
  ],
  [
    recordDeleted,
    "running",
    "FailedPrecondition",
    "RecordDeleted is out of place: task is running: failed precondition",
  ],
];

for (const [command, status, rejected, said] of refusals) {
  test(`a task that is ${status} refuses ${command.type}`, () => {
    const decided = taskDecider.decide(fold(taskDecider, taskIn[status]), command);
    const { reason, ...rest } = decided as { reason: string };
    assert.deepEqual(rest, { rejected, message: said });
    assert.match(reason, /^(TaskExists|TaskAbsent|ProcessFinished|TaskIs[A-Z][a-z]+)$/);
  });
}

test("a new task has nothing of the one before", () => {
  const before = [
    ...taskIn.running,
    signalling,
    { type: "TaskOomed", data: {} },
    { type: "TaskUpdated", data: { resources: { typeUrl: "t", value: new Uint8Array([1]) }, annotations: {} } },
    checkpointing,
    stage.execAdded,
    exited,
    stage.deleting,
  ];
  const again = given(...(before as TaskFact[]), stage.deleted)
    .when(create)
    .decides(stage.creating);
  assert.deepEqual(again, {
    ...taskDecider.initialState,
    status: "creating",
    ...stage.spec,
    createdAt: BigInt(before.length + 2),
  });
});

test("a running task's row holds what its facts said", () => {
  assert.deepEqual(
    given(...taskIn.starting)
      .when(recordStarted)
      .decides(started),
    {
      ...taskDecider.initialState,
      status: "running",
      ...stage.spec,
      shim,
      pid: 42,
      createdAt: 1n,
      startedAt: 4n,
    },
  );
});

test("the pid and the exit can be read until the task is deleted, and the first report of the exit wins", () => {
  const later = { ...exit, status: 0 };
  const state = given(...taskIn.stopped)
    .when({ type: "RecordExited", exit: later })
    .decides();
  assert.deepEqual([state.pid, state.exit], [42, exit]);
});

test("a created task is deleted without being started: its exit precedes its deletion", () => {
  given(...stage.deletingUnstarted)
    .when(recordDeleted)
    .decides(exited, stage.deleted);
  const killed = given(...stage.deletingUnstarted)
    .when(recordExited)
    .decides(exited);
  assert.equal(killed.status, "deleting");
  given(...stage.deletingUnstarted, exited)
    .when(recordDeleted)
    .decides(stage.deleted);
});

test("a created task whose deletion failed can still be started", () => {
  const state = given(...stage.deletingUnstarted)
    .when({ type: "RecordDeleteFailed", message })
    .decides({ type: "TaskDeleteFailed", data: { message } });
  assert.equal(state.status, "created");
});

test("a signal is an intent until its outcome is recorded", () => {
  for (const status of ["created", "starting", "running", "paused"] as const) {
    const asked = given(...taskIn[status])
      .when({ type: "SignalTask", id, ...signal })
      .decides(signalling);
    assert.deepEqual([asked.status, asked.signals], [status, [signal]]);
  }
  const other = { execId: "", signal: 15, all: true };
  const two: TaskFact[] = [signalling, signalling, { type: "TaskSignalling", data: other }];
  const sent = given(...taskIn.running, ...two)
    .when({ type: "RecordSignalled", ...signal })
    .decides({ type: "TaskSignalled", data: signal });
  assert.deepEqual(sent.signals, [signal, other]);
  const failed = given(...taskIn.running, ...two, exited)
    .when({ type: "RecordSignalFailed", ...other, message })
    .decides({ type: "TaskSignalFailed", data: { ...other, message } });
  assert.deepEqual(failed.signals, [signal, signal]);
});

test("a checkpoint is an intent until its outcome is recorded, also when the task has ended with it", () => {
  const content = [{ mediaType: "m", digest: "sha256:x", size: 1, annotations: {} }];
  for (const status of ["running", "paused"] as const) {
    const asked = given(...taskIn[status])
      .when(checkpoint)
      .decides(checkpointing);
    assert.deepEqual([asked.status, asked.checkpointing], [status, true]);
    given(...taskIn[status], checkpointing)
      .when(checkpoint)
      .decides();
    const taken = given(...taskIn[status], checkpointing, exited)
      .when({ type: "RecordCheckpointed", content })
      .decides({ type: "TaskCheckpointed", data: { content } });
    assert.deepEqual([taken.status, taken.checkpointing], ["stopped", false]);
    const failed = given(...taskIn[status], checkpointing)
      .when({ type: "RecordCheckpointFailed", message })
      .decides({ type: "TaskCheckpointFailed", data: { message } });
    assert.deepEqual([failed.status, failed.checkpointing], [status, false]);
  }
});

test("each time that memory runs out is a fact", () => {
  const oomed = (at: bigint): TaskFact => ({ type: "TaskOomed", data: { at } });
  for (const status of ["created", "starting", "running", "paused", "stopped", "deleting"] as const) {
    const state = given(...taskIn[status], oomed(5n))
      .when({ type: "RecordOomed", at: 6n })
      .decides(oomed(6n));
    assert.deepEqual([state.oomed, state.oomedAt, state.status], [true, 6n, status]);
    given(...taskIn[status], oomed(5n)).when({ type: "RecordOomed", at: 5n }).decides();
  }
});

test("a task keeps the resources that were set last, whatever its status", () => {
  const resources = { typeUrl: "t", value: new Uint8Array([1]) };
  const updated: TaskFact = { type: "TaskUpdated", data: { resources, annotations: {} } };
  for (const status of ["created", "starting", "running", "paused", "stopped", "deleting"] as const) {
    const state = given(...taskIn[status])
      .when({ type: "RecordUpdated", resources, annotations: {} })
      .decides(updated);
    assert.deepEqual([state.resources, state.status], [resources, status]);
  }
});

test("a lost shim is lost once, and the task stays as it is", () => {
  const lost: TaskFact = { type: "TaskShimLost", data: { message } };
  for (const status of ["created", "starting", "running", "paused", "stopped", "deleting"] as const) {
    const state = given(...taskIn[status])
      .when({ type: "RecordShimLost", message })
      .decides(lost);
    assert.deepEqual([state.shim, state.status], [null, status]);
    given(...taskIn[status], lost)
      .when({ type: "RecordShimLost", message })
      .decides();
  }
});

test("a lost shim is replaced once, and the task stays as it is", () => {
  const lost: TaskFact = { type: "TaskShimLost", data: { message } };
  const other = { address: "unix:///other", version: 2 };
  const replaced: TaskFact = { type: "TaskShimReplaced", data: { shim: other } };
  for (const status of ["created", "starting", "running", "paused", "stopped", "deleting"] as const) {
    const state = given(...taskIn[status], lost)
      .when({ type: "RecordShimReplaced", shim: other })
      .decides(replaced);
    assert.deepEqual([state.shim, state.status], [other, status]);
  }
});

test("an exit says that memory ran out when it was a kill after that, and only then", () => {
  const oomed: TaskFact = { type: "TaskOomed", data: {} };
  const killed = { pid: 7, status: 137, exitedAt: 5n, known: true };
  const ended = { ...killed, status: 0 };
  const record = (exit: typeof killed): TaskCommand => ({ type: "RecordExited", exit });
  given(...taskIn.running, oomed)
    .when(record(killed))
    .decides({ type: "TaskExited", data: { ...killed, oomKilled: true } });
  given(...taskIn.running, oomed)
    .when(record(ended))
    .decides({ type: "TaskExited", data: ended });
  given(...taskIn.running)
    .when(record(killed))
    .decides({ type: "TaskExited", data: killed });
});

test("a fact of a later version passes by the fold", () => {
  const state = fold(taskDecider, taskIn.running);
  const unknown = { type: "TaskTeleported", data: {}, time: 9n } as never;
  assert.equal(taskDecider.evolve(state, unknown), state);
});
