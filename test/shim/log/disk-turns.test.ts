import assert from "node:assert/strict";
import { test } from "node:test";
import { DiskTurns } from "../../../src/shim/log/disk-turns.ts";

/** Work that ends when told; says in `begun` that it has begun. */
function work(turns: DiskTurns, device: number, name: string, begun: string[]) {
  let end = (): void => {};
  const done = turns.take(device, () => {
    begun.push(name);
    return new Promise<void>((resolve) => {
      end = resolve;
    });
  });
  return { done, end: () => end() };
}

test("a device is written to by one log at a time, in the order of asking", async () => {
  const turns = new DiskTurns();
  const begun: string[] = [];
  const [a, b, c] = ["a", "b", "c"].map((name) => work(turns, 1, name, begun)) as [Work, Work, Work];
  assert.deepEqual(begun, ["a"]);
  a.end();
  await a.done;
  await undefined;
  assert.deepEqual(begun, ["a", "b"]);
  b.end();
  await b.done;
  c.end();
  await c.done;
  assert.deepEqual(begun, ["a", "b", "c"]);
});

test("two hung devices leave libuv's other threads alone, and a third device waits for one of them", async () => {
  const turns = new DiskTurns();
  const begun: string[] = [];
  const [one, two, three] = [1, 2, 3].map((device) => work(turns, device, `on ${device}`, begun)) as [Work, Work, Work];
  assert.deepEqual(begun, ["on 1", "on 2"]);
  two.end();
  await two.done;
  await undefined;
  assert.deepEqual(begun, ["on 1", "on 2", "on 3"]);
  one.end();
  three.end();
  await Promise.all([one.done, three.done]);
});

test("a turn ends when its work fails", async () => {
  const turns = new DiskTurns();
  await assert.rejects(
    turns.take(1, () => Promise.reject(new Error("disk"))),
    /disk/,
  );
  assert.equal(await turns.take(1, () => Promise.resolve("next")), "next");
});

type Work = ReturnType<typeof work>;
