import assert from "node:assert/strict";
import test from "node:test";
import { openIntents } from "../../src/machines/open-intents.ts";
import { taskDecider } from "../../src/machines/task-decider.ts";
import type { TaskFact } from "../../src/machines/task.ts";
import { fold } from "./specification.ts";
import { execId, execIn, execStartFailed, taskIn } from "./task-stages.ts";

const intentsOf = (...facts: readonly TaskFact[]) => openIntents(fold(taskDecider, facts));
const none = { create: false, start: false, delete: false, execStarts: [], signals: [], checkpoint: false };

test("a task at rest has no open intent", () => {
  for (const status of ["absent", "created", "running", "paused", "stopped"] as const) {
    assert.deepEqual(intentsOf(...taskIn[status], ...(status === "absent" ? [] : execIn.running)), none);
  }
});

test("creating, starting and deleting are open until their outcome", () => {
  assert.deepEqual(intentsOf(...taskIn.creating), { ...none, create: true });
  assert.deepEqual(intentsOf(...taskIn.starting), { ...none, start: true });
  assert.deepEqual(intentsOf(...taskIn.deleting), { ...none, delete: true });
});

test("a checkpoint is open until its outcome", () => {
  const checkpointing: TaskFact = { type: "TaskCheckpointing", data: { path: "", exit: false } };
  assert.deepEqual(intentsOf(...taskIn.running, checkpointing), { ...none, checkpoint: true });
  const taken: TaskFact = { type: "TaskCheckpointed", data: { content: [] } };
  assert.deepEqual(intentsOf(...taskIn.running, checkpointing, taken), none);
});

test("execs that start and signals under way are open, each by itself", () => {
  const signal = { execId: "", signal: 15, all: false };
  const open: TaskFact[] = [...taskIn.running, ...execIn.starting, { type: "TaskSignalling", data: signal }];
  assert.deepEqual(intentsOf(...open), { ...none, execStarts: [execId], signals: [signal] });
  assert.deepEqual(intentsOf(...open, execStartFailed, { type: "TaskSignalled", data: signal }), none);
});
