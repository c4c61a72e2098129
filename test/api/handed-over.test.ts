import assert from "node:assert/strict";
import { test } from "node:test";
import { handedOver } from "../../src/api/handed-over.ts";

test("what work gives away comes in order, each when the one before has been taken", async () => {
  const events: string[] = [];
  const work = async (give: (value: number) => Promise<void>) => {
    for (const value of [1, 2, 3]) {
      await give(value);
      events.push(`given ${value}`);
    }
  };
  for await (const value of handedOver(work)) events.push(`taken ${value}`);
  assert.deepEqual(events, ["taken 1", "given 1", "taken 2", "given 2", "taken 3", "given 3"]);
});

test("work that fails ends the reading with its error, after what it gave before", async () => {
  const values: number[] = [];
  const read = async () => {
    for await (const value of handedOver<number>(async (give) => {
      await give(7);
      throw new Error("broken");
    }))
      values.push(value);
  };
  await assert.rejects(read(), /broken/);
  assert.deepEqual(values, [7]);
});

test("work that gives nothing is read as nothing", async () => {
  assert.deepEqual(await Array.fromAsync(handedOver(async () => {})), []);
});

test("a reader that stops makes the next giving fail, and waits for the work's end", async () => {
  let end: unknown;
  const work = async (give: (value: number) => Promise<void>) => {
    try {
      for (;;) await give(1);
    } catch (error) {
      end = error;
    }
  };
  for await (const _ of handedOver(work)) break;
  assert.match(String(end), /nobody reads/);
});
