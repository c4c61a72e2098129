import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { systemClock } from "../../src/platform/clock.ts";
import { Files } from "../../src/platform/files.ts";
import { randomIds } from "../../src/platform/ids.ts";

async function directory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "shiplog-files-"));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

test("every step of a durable write is announced, in order, when a file is replaced", async (t) => {
  const path = join(await directory(t), "file");
  const operations: string[] = [];
  const files = new Files((operation) => operations.push(operation));
  await files.writeFileDurably("blob", path, Buffer.from("one"));
  await files.writeFileDurably("blob", path, Buffer.from("two"));
  assert.equal(await readFile(path, "utf8"), "two");
  const steps = ["blob.open", "blob.write", "blob.fsync", "blob.rename", "blob.fsyncDirectory"];
  assert.deepEqual(operations, [...steps, ...steps]);
});

test("the old content is all there and nothing is left beside it when a durable write fails before its rename", async (t) => {
  const root = await directory(t);
  const path = join(root, "file");
  await new Files().writeFileDurably("blob", path, Buffer.from("old"));
  for (const failing of ["blob.open", "blob.write", "blob.fsync", "blob.rename"]) {
    const files = new Files((operation) => {
      if (operation === failing) throw new Error(`injected: ${operation}`);
    });
    await assert.rejects(files.writeFileDurably("blob", path, Buffer.from("new")), { message: `injected: ${failing}` });
    assert.equal(await readFile(path, "utf8"), "old");
    assert.deepEqual(await readdir(root), ["file"]);
  }
});

test("every new name is made durable when a directory and its parents are made", async (t) => {
  const root = await directory(t);
  const operations: string[] = [];
  const files = new Files((operation) => operations.push(operation));
  await files.makeDirectory("state", join(root, "a", "b"));
  await files.makeDirectory("state", join(root, "a", "b"));
  assert.deepEqual(operations, ["state", "state.fsyncDirectory", "state.fsyncDirectory", "state"]);
});

test("preallocated space reads as zeros, and reading stops where the file ends", async (t) => {
  const files = new Files();
  const handle = await files.open("test.open", join(await directory(t), "file"), "w+");
  await files.write("test.write", handle, Buffer.from("abc"), 0);
  await files.preallocate("test.preallocate", handle, 0, 10);
  const buffer = Buffer.alloc(20, 0xff);
  assert.equal(await files.read("test.read", handle, buffer, 1), 9);
  assert.deepEqual([...buffer.subarray(0, 10)], [98, 99, 0, 0, 0, 0, 0, 0, 0, 0xff]);
  await assert.rejects(files.preallocate("test.preallocate", handle, 0, 2 ** 60), (error: NodeJS.ErrnoException) => error.syscall === "fallocate");
  await handle.close();
});

test("a lock is refused while another handle holds it", async (t) => {
  const files = new Files();
  const path = join(await directory(t), "LOCK");
  const one = await files.open("test.open", path, "a");
  const two = await files.open("test.open", path, "a");
  assert.deepEqual([files.lock("test.lock", one), files.lock("test.lock", two)], [true, false]);
  await one.close();
  assert.equal(files.lock("test.lock", two), true);
  await two.close();
});

test("the clock tells the wall clock's time in nanoseconds", () => {
  const before = BigInt(Date.now()) * 1_000_000n;
  const readings = Array.from({ length: 1000 }, () => systemClock.now());
  const after = BigInt(Date.now() + 1) * 1_000_000n;
  assert.ok(readings.every((time) => time >= before && time <= after));
  assert.ok(readings.some((time) => time % 1_000_000n !== 0n));
});

test("ids are lower case, of their stated length, and do not repeat", () => {
  const many = Array.from({ length: 10_000 }, () => [randomIds.request(), randomIds.directory(), randomIds.uuid()]);
  assert.ok(many.every(([request, name, uuid]) => /^[0-9a-f]{20}$/.test(request!) && /^[0-9a-f]{16}$/.test(name!) && /^[0-9a-f-]{36}$/.test(uuid!)));
  assert.equal(new Set(many.flat()).size, 30_000);
});
