import assert from "node:assert/strict";
import { test } from "node:test";
import { Line, waitingMax } from "../../../src/shim/container/line.ts";
import { StatusCode } from "../../../src/shim/ttrpc/mod.ts";

test("a line runs one work at a time in order, also behind one that fails", async () => {
  const line = new Line();
  const done: number[] = [];
  const works = [1, 2, 3].map((number) =>
    line.run(async () => {
      await new Promise((resolve) => setImmediate(resolve));
      done.push(number);
      if (number === 1) throw new Error("one");
      return number;
    }),
  );
  assert.deepEqual(
    (await Promise.allSettled(works)).map(({ status }) => status),
    ["rejected", "fulfilled", "fulfilled"],
  );
  assert.deepEqual(done, [1, 2, 3]);
});

test("a line refuses work when too much waits, and takes work again when that is done", async () => {
  const line = new Line();
  const hung = Promise.withResolvers<void>();
  const waiting = Array.from({ length: waitingMax + 1 }, () => line.run(() => hung.promise));
  await assert.rejects(
    line.run(async () => {}),
    { code: StatusCode.ResourceExhausted },
  );
  hung.resolve();
  await Promise.all(waiting);
  assert.equal(await line.run(async () => 7), 7);
});
