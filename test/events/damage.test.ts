/** Damage that no interrupted write can leave: it is named, nothing wrong is given out, and what is before it can be read. */
import assert from "node:assert/strict";
import { cp, open, readFile, rename, rm, stat, truncate } from "node:fs/promises";
import { basename } from "node:path";
import { type TestContext, test } from "node:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { type Fact, type Log, LogCorruption, LogDamaged, openFacts, verifyLog } from "../../src/events/mod.ts";
import { appendMany, numbered, openLog, readAll, segmentFiles, someFact, temporaryRoot } from "./fixture.ts";

const facts = 60;
const options = { segmentBytes: 1800 };

async function sealedLog(t: TestContext): Promise<string> {
  const root = await temporaryRoot(t);
  const log = await openLog(root, options);
  await appendMany(log, facts, 2);
  await log.close();
  assert.ok((await segmentFiles(root)).length >= 4);
  return root;
}

async function copyOf(t: TestContext, root: string): Promise<string> {
  const copy = await temporaryRoot(t);
  await cp(root, copy, { recursive: true });
  return copy;
}

async function flip(path: string, offset: number, mask = 1): Promise<void> {
  const handle = await open(path, "r+");
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, offset);
  byte[0]! ^= mask;
  await handle.write(byte, 0, 1, offset);
  await handle.close();
}

/** What can be read, and the damage met, if any. */
async function readUntilDamage(log: Log): Promise<{ read: Fact[]; damage: LogCorruption | undefined }> {
  const read: Fact[] = [];
  try {
    for await (const batch of log.read({ from: 0 })) read.push(...batch);
    return { read, damage: log.damage };
  } catch (error) {
    assert.ok(error instanceof LogCorruption, String(error));
    return { read, damage: error };
  }
}

test("a flipped byte anywhere is named, and no wrong fact is given out", async (t) => {
  const template = await sealedLog(t);
  const files = await segmentFiles(template);
  const sizes = await Promise.all(files.map(async (path) => (await readFile(path)).findLastIndex((byte) => byte !== 0) + 1));
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: files.length - 1 }), fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 1, max: 255 }), async (file, share, mask) => {
      const root = await copyOf(t, template);
      const path = (await segmentFiles(root))[file]!;
      const offset = Math.min(Math.floor(share * sizes[file]!), sizes[file]! - 1);
      await flip(path, offset, mask);

      const report = await verifyLog(root);
      const log = await openLog(root, options);
      const { read, damage } = await readUntilDamage(log);
      assert.deepEqual(read, numbered(0, read.length));
      if (log.recovered === undefined) {
        assert.ok(damage !== undefined, "not detected");
        assert.equal(damage.file, path);
        assert.ok(damage.offset <= offset, `${damage.offset} > ${offset}`);
        // A reader gives out whole chunks, so it may have stopped before the damage, never after it.
        assert.ok(read.length <= damage.position);
        assert.deepEqual(await readAll(log.read({ from: 0, to: damage.position })), numbered(0, damage.position));
        assert.throws(() => log.append([someFact(facts)]), (error) => error instanceof LogDamaged && error.damage === damage);
        assert.ok(report.problems.some((problem) => problem.file === path && problem.offset <= offset));
        assert.equal(report.problems[0]!.position, damage.position);
      } else {
        // The very last frame cannot be told from a write that was never finished; its bytes are kept and the cut is reported.
        assert.deepEqual([log.recovered.file, log.recovered.position, log.next], [path, read.length, read.length]);
        assert.ok(log.recovered.offset <= offset && file === files.length - 1);
        assert.equal(report.unfinished.length, 1);
      }
      await log.close();
      await rm(root, { recursive: true });
    }),
    { numRuns: 100 },
  );
});

test("what is before the damage is served when a frame in the last segment is damaged and another follows", async (t) => {
  const root = await temporaryRoot(t);
  let log = await openLog(root);
  await appendMany(log, 10);
  await log.close();
  const [path] = await segmentFiles(root);
  const before = await readFile(path!);
  const bytes = await readFile(path!);
  const third = bytes.indexOf("SLfr", bytes.indexOf("SLfr", bytes.indexOf("SLfr") + 1) + 1);
  await flip(path!, third + 40);

  log = await openLog(root);
  assert.deepEqual([log.damage?.file, log.damage?.offset, log.damage?.position], [path, third, 2]);
  assert.deepEqual([log.next, log.durableNext, log.oldest], [2, 2, 0]);
  assert.deepEqual(await readAll(log.read({ from: 0 })), numbered(0, 2));
  await assert.rejects(readAll(log.follow({ from: 0 })), { reason: "LogCorruption", position: 2 });
  await assert.rejects(log.get(2), { reason: "PositionAhead" });
  await assert.rejects(log.durable(3), { reason: "LogDamaged" });
  assert.throws(() => log.append([someFact(2)]), { reason: "LogDamaged" });
  await log.close();
  await assert.rejects(openFacts(root), { reason: "LogCorruption" });
  before[third + 40]! ^= 1;
  assert.ok((await readFile(path!)).equals(before), "a damaged log was changed");
});

test("a missing segment is named, in the middle and at the end", async (t) => {
  const template = await sealedLog(t);
  for (const index of [1, -1]) {
    const root = await copyOf(t, template);
    const missing = (await segmentFiles(root)).at(index)!;
    await rm(missing);
    const position = Number(basename(missing, ".log"));
    const log = await openLog(root, options);
    assert.deepEqual([log.damage?.file, log.damage?.position, log.next], [missing, position, position]);
    assert.deepEqual(await readAll(log.read({ from: 0 })), numbered(0, position));
    await log.close();
    assert.ok((await verifyLog(root)).problems.some((problem) => problem.position === position));
  }
});

test("a sealed segment that was cut is named by its first position that is lost", async (t) => {
  const root = await sealedLog(t);
  const [, path] = await segmentFiles(root);
  await truncate(path!, (await stat(path!)).size - 100);
  const log = await openLog(root, options);
  assert.equal(log.damage?.file, path);
  assert.ok(log.damage!.position < facts);
  assert.deepEqual(await readAll(log.read({ from: 0 })), numbered(0, log.damage!.position));
  await log.close();
});

test("a segment in another's place is no segment", async (t) => {
  const root = await sealedLog(t);
  const other = await sealedLog(t);
  const [, second, third] = await segmentFiles(root);
  await cp((await segmentFiles(other))[2]!, third!);
  let log = await openLog(root, options);
  assert.deepEqual([log.damage?.file, log.damage?.offset, log.damage?.finding], [third, 0, "the segment is of another log"]);
  await log.close();
  await rename(second!, third!);
  log = await openLog(root, options);
  assert.notEqual(log.damage, undefined);
  await log.close();
});

test("a log of a later format is left alone", async (t) => {
  const root = await temporaryRoot(t);
  await (await openLog(root)).close();
  const [path] = await segmentFiles(root);
  const bytes = await readFile(path!);
  bytes.writeUInt32BE(2, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 36)), 36);
  const handle = await open(path!, "r+");
  await handle.write(bytes.subarray(0, 40), 0, 40, 0);
  await handle.close();
  await assert.rejects(openLog(root), { reason: "LogFormatUnknown", file: path, version: 2 });
  await assert.rejects(verifyLog(root), { reason: "LogFormatUnknown" });
});

test("verification finds every problem and counts what is whole", async (t) => {
  const root = await sealedLog(t);
  const clean = await verifyLog(root);
  const files = await segmentFiles(root);
  assert.deepEqual([clean.facts, clean.segments, clean.frames, clean.problemsFound], [facts, files.length, facts / 2, 0]);
  await flip(files[0]!, 100);
  await flip(files[2]!, 200);
  const report = await verifyLog(root);
  assert.deepEqual(report.problems.map(({ file }) => file), [files[0], files[2]]);
  assert.deepEqual([report.facts, report.problemsFound], [facts - 4, 2]);
  assert.equal(report.problems[0]!.position, 0);
});

test("verification of a log that is being written looks at what was durable", async (t) => {
  const root = await temporaryRoot(t);
  const log = await openLog(root, options);
  await appendMany(log, 30);
  const to = log.durableNext;
  const reports = [];
  const writing = appendMany(log, 100);
  for (let n = 0; n < 5; n++) reports.push(await verifyLog(root, { to }));
  await writing;
  await log.close();
  for (const report of reports) assert.deepEqual([report.facts, report.problems, report.unfinished], [30, [], []]);
});

test("verification reports a stream whose versions have a hole", async (t) => {
  const root = await temporaryRoot(t);
  const log = await openLog(root);
  for (const [stream, version] of [["a", 0], ["b", 0], ["a", 1], ["b", 2], ["b", 3], ["c", 1]] as const) {
    log.append([{ ...someFact(0), stream, version }]);
  }
  await log.durable(6);
  await log.close();
  const { problems } = await verifyLog(root);
  assert.deepEqual(problems.map(({ position }) => position), [3, 5]);
  assert.match(problems[0]!.message, /b in namespace default has version 2 after 0/);
});

test("facts are read without a lock from a root that is closed", async (t) => {
  const root = await sealedLog(t);
  const source = await openFacts(root);
  assert.deepEqual([source.durableNext, source.oldest], [facts, 0]);
  assert.match(source.logId, /^[0-9a-f]{32}$/);
  assert.deepEqual(await readAll(source.read({ from: 10, to: 20 })), numbered(10, 20));
});
