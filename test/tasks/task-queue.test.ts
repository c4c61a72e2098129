import assert from "node:assert/strict";
import { test } from "node:test";
import { TaskQueue, waitingPerKeyMax } from "../../src/tasks/task-queue.ts";

test("operations of one key run one after another, also when one fails", async () => {
  const queue = new TaskQueue();
  const steps: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = queue.run("a", async () => {
    steps.push("first begins");
    await gate.promise;
    steps.push("first ends");
    throw new Error("first failed");
  });
  const second = queue.run("a", async () => steps.push("second"));
  await queue.run("b", async () => steps.push("other key"));
  gate.resolve();
  await assert.rejects(first, /first failed/);
  await second;
  assert.deepEqual(steps, ["first begins", "other key", "first ends", "second"]);
});

test("a key takes a bounded number of waiting operations, and takes more once they are done", async () => {
  const queue = new TaskQueue();
  const gate = Promise.withResolvers<void>();
  const running = Array.from({ length: waitingPerKeyMax + 1 }, () => queue.run("a", () => gate.promise));
  await assert.rejects(
    queue.run("a", async () => {}),
    { class: "ResourceExhausted" },
  );
  gate.resolve();
  await Promise.all(running);
  await queue.run("a", async () => {});
});
