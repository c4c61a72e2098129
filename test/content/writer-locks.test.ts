import assert from "node:assert/strict";
import { test } from "node:test";
import { WriterLocks } from "../../src/content/writer-locks.ts";
import { ShiplogError } from "../../src/error.ts";

const nobody = new AbortController().signal;
const clock = { now: () => 1_700_000_000_000_000_000n };

test("writer lock goes to the longest waiting when its holder lets go", async () => {
  const locks = new WriterLocks(clock);
  const release = await locks.acquire("k", "r", 0, nobody);
  const order: string[] = [];
  const waiters = ["first", "second"].map(async (name) => {
    const give = await locks.acquire("k", "r", 60_000, nobody);
    order.push(name);
    give();
  });
  assert.deepEqual(order, []);
  release();
  await Promise.all(waiters);
  assert.deepEqual(order, ["first", "second"]);
  (await locks.acquire("k", "r", 0, nobody))();
});

test("writer lock is Unavailable when it is held beyond the wait, and free after that", async () => {
  const locks = new WriterLocks(clock);
  const release = await locks.acquire("k", "layer-1", 0, nobody);
  await assert.rejects(
    locks.acquire("k", "layer-1", 1, nobody),
    (error) =>
      error instanceof ShiplogError &&
      error.class === "Unavailable" &&
      error.message.startsWith("ref layer-1 locked for 0ms"),
  );
  (await locks.acquire("other", "layer-1", 0, nobody))();
  release();
  (await locks.acquire("k", "layer-1", 0, nobody))();
});

test("writer lock is not given to one that has gone when it gave up before", async () => {
  const locks = new WriterLocks(clock);
  const release = await locks.acquire("k", "r", 0, nobody);
  const gone = new AbortController();
  const waiting = locks.acquire("k", "r", 60_000, gone.signal);
  gone.abort(new Error("client went away"));
  release();
  await assert.rejects(waiting, /client went away/);
  (await locks.acquire("k", "r", 0, nobody))();
});
