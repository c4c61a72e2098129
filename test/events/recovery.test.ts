import assert from "node:assert/strict";
import { cp, open, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { verifyLog } from "../../src/events/mod.ts";
import { appendMany, Faults, numbered, openLog, readAll, segmentFiles, someFact, temporaryRoot, TornWrites } from "./fixture.ts";

/** A closed log of two frames in its last segment: where the last frame begins and ends, and how many facts are before it. */
async function logWithLastFrame(t: TestContext): Promise<{ root: string; start: number; end: number; before: number }> {
  const root = await temporaryRoot(t);
  const log = await openLog(root);
  await appendMany(log, 5);
  const start = await endOfFrames(root);
  await log.durable(log.append([someFact(5)]) + 1);
  await log.close();
  return { root, start, end: await endOfFrames(root), before: 5 };
}

async function endOfFrames(root: string): Promise<number> {
  const bytes = await readFile((await segmentFiles(root)).at(-1)!);
  return bytes.findLastIndex((byte) => byte !== 0) + 1;
}

/** Copies the log, damages its last segment, opens it, and expects exactly the first `before` facts and the rest kept beside them. */
async function expectPrefix(t: TestContext, from: string, before: number, spoil: (path: string) => Promise<void>): Promise<void> {
  const root = await temporaryRoot(t);
  await cp(from, root, { recursive: true });
  const path = (await segmentFiles(root)).at(-1)!;
  await spoil(path);
  const spoilt = await readFile(path);
  const log = await openLog(root);
  assert.equal(log.damage, undefined);
  assert.equal(log.next, before);
  assert.deepEqual(await readAll(log.read({ from: 0 })), numbered(0, before));
  const { recovered } = log;
  const broken = (await readdir(join(root, "log"))).filter((name) => name.endsWith(".broken"));
  assert.deepEqual(broken, recovered?.broken === undefined ? [] : [basename(recovered.broken)]);
  if (recovered !== undefined) {
    const { file, position, offset, bytes } = recovered;
    assert.deepEqual([file, position], [path, before]);
    if (bytes > 0) assert.ok((await readFile(recovered.broken!)).equals(spoilt.subarray(offset, offset + bytes)));
    assert.ok(spoilt.subarray(offset + bytes).every((byte) => byte === 0));
  }
  await appendMany(log, 1);
  await log.close();
  const report = await verifyLog(root);
  assert.deepEqual([report.problems, report.unfinished, report.facts], [[], [], before + 1]);
  await rm(root, { recursive: true });
}

test("opening keeps what was acknowledged when the file ends at any byte of the last frame", async (t) => {
  const { root, start, end, before } = await logWithLastFrame(t);
  for (let cut = start; cut < end; cut++) await expectPrefix(t, root, before, (path) => truncate(path, cut));
});

test("opening keeps what was acknowledged when any suffix of the last frame reads as zeros or as garbage", async (t) => {
  const { root, start, end, before } = await logWithLastFrame(t);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: start, max: end - 1 }), fc.uint8Array({ minLength: 1, maxLength: 400 }), fc.boolean(), async (cut, garbage, zero) => {
      await expectPrefix(t, root, before, async (path) => {
        const original = (await readFile(path)).subarray(cut, end);
        const bytes = Buffer.alloc(Math.max(end - cut, zero ? 0 : garbage.length));
        if (!zero) bytes.set(garbage);
        if (bytes.subarray(0, original.length).equals(original)) bytes[0]! ^= 1;
        const handle = await open(path, "r+");
        await handle.write(bytes, 0, bytes.length, cut);
        await handle.close();
      });
    }),
    { numRuns: 60 },
  );
});

test("opening says what it cut: where, how much, and how many facts were in it", async (t) => {
  const { root, start, end } = await logWithLastFrame(t);
  const [path] = await segmentFiles(root);
  await truncate(path!, end - 1);
  const log = await openLog(root);
  assert.deepEqual(log.recovered, {
    file: path,
    offset: start,
    bytes: end - 1 - start,
    position: 5,
    facts: 1,
    broken: `${path}.${start}.broken`,
  });
  await log.close();
});

test("an earlier broken copy is kept when the same place breaks again", async (t) => {
  const { root, start } = await logWithLastFrame(t);
  const [path] = await segmentFiles(root);
  // The magic and the payload's length are not zero, the first bytes of the position are.
  for (const [round, suffix] of [`${start}.broken`, `${start}.2.broken`, `${start}.3.broken`].entries()) {
    await truncate(path!, start + 12 + round);
    const log = await openLog(root);
    assert.equal(log.recovered?.broken, `${path}.${suffix}`);
    await appendMany(log, 1);
    await log.close();
  }
  assert.equal((await readFile(`${path}.${start}.broken`)).length, 8);
});

test("a last segment without a whole header is made anew when nothing follows it", async (t) => {
  const template = await temporaryRoot(t);
  const log = await openLog(template, { segmentBytes: 1000 });
  while ((await segmentFiles(template)).length < 3) await appendMany(log, 1);
  await log.close();
  // The newest segment holds one fact; a log that ended with the roll has none in it.
  const newest = (await segmentFiles(template)).at(-1)!;
  const before = Number(basename(newest, ".log"));
  const header = (await readFile(newest)).subarray(0, 40);
  for (let cut = 0; cut < 40; cut++) {
    await expectPrefix(t, template, before, async (path) => {
      await writeFile(path, header.subarray(0, cut));
      if (cut % 2 === 0) await truncate(path, 16 * 1024);
    });
  }
});

test("a new log is made when the only segment never got its header", async (t) => {
  const root = await temporaryRoot(t);
  await (await openLog(root)).close();
  const [path] = await segmentFiles(root);
  await writeFile(path!, "");
  const log = await openLog(root);
  assert.deepEqual([log.next, log.damage, log.recovered?.bytes], [0, undefined, 0]);
  await appendMany(log, 2);
  await log.close();
});

test("a write that stopped half way is cut when the log is opened again", async (t) => {
  for (const [operation, calls] of [["log.write", 12], ["log.seal.write", 2], ["log.begin.write", 3]] as const) {
    for (let n = 1; n <= calls; n++) {
      const root = await temporaryRoot(t);
      const faults = new Faults().failAt(operation, n);
      let acknowledged = 0;
      const errors: string[] = [];
      try {
        const log = await openLog(root, { files: new TornWrites(faults), segmentBytes: 700, onFatal: (error) => errors.push(error.message) });
        try {
          for (; acknowledged < 15; acknowledged++) await appendMany(log, 1);
        } finally {
          await log.close();
        }
      } catch (error) {
        assert.match(String(error), /injected/);
      }
      assert.ok(faults.fired, `${operation} ${n}`);
      const log = await openLog(root, { segmentBytes: 700 });
      assert.equal(log.damage, undefined, `${operation} ${n}`);
      assert.deepEqual(await readAll(log.read({ from: 0 })), numbered(0, acknowledged), `${operation} ${n}`);
      assert.equal(log.next, acknowledged);
      await appendMany(log, 3);
      await log.close();
      const report = await verifyLog(root);
      assert.deepEqual([report.problems, report.unfinished, report.facts], [[], [], acknowledged + 3], `${operation} ${n}`);
      await rm(root, { recursive: true });
    }
  }
});
