import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, writeSync } from "node:fs";
import { test } from "node:test";
import { openEventfd, takeEvents } from "../../src/platform/mod.ts";

test("an event descriptor gives what was added since the last time, and never waits", () => {
  const descriptor = openEventfd();
  try {
    assert.equal(takeEvents(descriptor), 0n);
    const two = Buffer.alloc(8);
    two.writeBigUInt64LE(2n);
    writeSync(descriptor, two);
    writeSync(descriptor, two);
    assert.equal(takeEvents(descriptor), 4n);
    assert.equal(takeEvents(descriptor), 0n);
  } finally {
    closeSync(descriptor);
  }
  assert.throws(() => takeEvents(descriptor), { code: "EBADF" });
});

test("an event descriptor is no child's", () => {
  const descriptor = openEventfd();
  const { status } = spawnSync("test", ["-e", `/proc/self/fd/${descriptor}`]);
  closeSync(descriptor);
  assert.equal(status, 1);
});
