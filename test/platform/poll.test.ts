import assert from "node:assert/strict";
import { closeSync, readSync, writeSync } from "node:fs";
import { test } from "node:test";
import koffi from "koffi";
import { openPoll, PollEvent } from "../../src/platform/mod.ts";

const eventfd = koffi.load("libc.so.6").func("int eventfd(unsigned int, int)");
const nonblocking = 0o4000;

function raise(descriptor: number): void {
  const one = Buffer.alloc(8);
  one.writeBigUInt64LE(1n);
  writeSync(descriptor, one);
}

test("poll tells of a descriptor that becomes readable, once per turn until it is read", async () => {
  const descriptor = eventfd(0, nonblocking);
  const told: number[] = [];
  const twice = Promise.withResolvers<void>();
  const poll = openPoll(descriptor, (events) => {
    told.push(events);
    if (told.length === 2) {
      readSync(descriptor, Buffer.alloc(8));
      twice.resolve();
    }
  });
  try {
    poll.start(PollEvent.Readable);
    raise(descriptor);
    await twice.promise;
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(told, [PollEvent.Readable, PollEvent.Readable]);
  } finally {
    poll.close();
    closeSync(descriptor);
  }
});

test("poll tells nothing when it is stopped, and what still holds when it is started again", async () => {
  const descriptor = eventfd(0, nonblocking);
  let isStopped = false;
  const again = Promise.withResolvers<void>();
  let calls = 0;
  const poll = openPoll(descriptor, () => {
    assert.ok(!isStopped, "called while stopped");
    calls++;
    if (calls === 1) {
      poll.stop();
      isStopped = true;
      setTimeout(() => {
        isStopped = false;
        poll.start(PollEvent.Readable);
      }, 5);
    } else {
      poll.close();
      again.resolve();
    }
  });
  poll.start(PollEvent.Readable);
  raise(descriptor);
  await again.promise;
  poll.close();
  closeSync(descriptor);
});

test("poll refuses a descriptor that is not open", () => {
  assert.throws(() => openPoll(1_000_000, () => {}), { code: "EBADF" });
});
