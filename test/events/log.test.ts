import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { AttachmentNeeded, type Fact, type Log, type NewFact } from "../../src/events/mod.ts";
import { Files } from "../../src/platform/files.ts";
import { appendMany, arbitraryFact, comparable, Faults, numbered, openLog, readAll, segmentFiles, someFact, temporaryRoot } from "./fixture.ts";

async function append(log: Log, facts: readonly NewFact[]): Promise<number> {
  for (;;) {
    try {
      return log.append(facts);
    } catch (error) {
      if (!(error instanceof AttachmentNeeded)) throw error;
      await log.attach(error);
    }
  }
}

test("facts come back as they were appended, before and after the log is opened again", async (t) => {
  const root = await temporaryRoot(t);
  let log = await openLog(root);
  const expected: unknown[] = [];
  await fc.assert(
    fc.asyncProperty(fc.array(arbitraryFact, { minLength: 1, maxLength: 5 }), async (facts) => {
      const first = await append(log, facts);
      assert.equal(first, expected.length);
      for (const [index, fact] of facts.entries()) expected.push(comparable({ ...fact, position: first + index }));
      await log.durable(log.next);
      assert.deepEqual((await readAll(log.read({ from: first }))).map(comparable), expected.slice(first));
    }),
    { numRuns: 150 },
  );
  await log.close();
  log = await openLog(root);
  assert.deepEqual((await readAll(log.read({ from: 0 }))).map(comparable), expected);
  assert.equal(log.next, expected.length);
  await log.close();
});

test("the same fact at the same position gives the same bytes when its absent fields are undefined", async (t) => {
  const roots = [await temporaryRoot(t), await temporaryRoot(t)];
  const data = { a: 1, b: { c: [1n, "x"] } };
  const withUndefined = { a: 1, gone: undefined, b: { c: [1n, "x"], also: undefined } };
  for (const [index, root] of roots.entries()) {
    const log = await openLog(root, { ids: { uuid: () => "00000000-0000-4000-8000-000000000000", request: () => "", directory: () => "" } });
    await log.durable(log.append([someFact(0, index === 0 ? data : withUndefined)]) + 1);
    await log.close();
  }
  const files = new Files();
  const [one, two] = await Promise.all(roots.map(async (root) => files.readFile("test.read", (await segmentFiles(root))[0]!)));
  assert.ok(one!.equals(two!));
});

test("a log is made where there is none, and keeps its id", async (t) => {
  const root = join(await temporaryRoot(t), "deep", "below");
  const log = await openLog(root);
  const { logId } = log;
  assert.match(logId, /^[0-9a-f]{32}$/);
  assert.deepEqual([log.oldest, log.next, log.durableNext, log.recovered, log.damage], [0, 0, 0, undefined, undefined]);
  assert.deepEqual(await readAll(log.read({ from: 0 })), []);
  await log.close();
  const again = await openLog(root);
  assert.equal(again.logId, logId);
  await again.close();
});

test("concurrent appends share syncs and keep their order when many callers wait", async (t) => {
  const root = await temporaryRoot(t);
  const faults = new Faults();
  const log = await openLog(root, { files: new Files(faults.hook), segmentBytes: 4 * 1024 * 1024 });
  const positions: number[] = [];
  const caller = async (): Promise<void> => {
    for (let n = 0; n < 20; n++) {
      const position = log.append([someFact(log.next)]);
      positions.push(position);
      await log.durable(position + 1);
      assert.ok(log.durableNext > position);
    }
  };
  await Promise.all(Array.from({ length: 64 }, caller));
  assert.deepEqual(positions, Array.from({ length: 64 * 20 }, (_, index) => index));
  const syncs = faults.calls.get("log.fdatasync")!;
  assert.ok(syncs <= 45, `${syncs} syncs for ${positions.length} appends`);
  assert.deepEqual(await readAll(log.read({ from: 0 })), numbered(0, 1280));
  await log.close();
});

test("nothing is given out before it is durable", async (t) => {
  const log = await openLog(await temporaryRoot(t));
  const heard: number[] = [];
  log.onDurable((durableNext) => heard.push(durableNext));
  log.append([someFact(0), someFact(1)]);
  assert.equal(log.durableNext, 0);
  assert.deepEqual(await readAll(log.read({ from: 0 })), []);
  assert.deepEqual(await log.get(1), numbered(1, 2)[0]);
  await log.durable(2);
  assert.deepEqual(heard, [2]);
  assert.equal(log.append([]), 2);
  await log.close();
});

test("order is the position's when the clock steps back", async (t) => {
  const log = await openLog(await temporaryRoot(t));
  log.append([someFact(0)]);
  log.append([{ ...someFact(1), time: 1n }]);
  log.append([someFact(2)]);
  await log.durable(3);
  const facts = await readAll(log.read({ from: 1 }));
  assert.deepEqual(facts.map(({ position, time }) => [position, time]), [[1, 1n], [2, 1_700_000_000_000_000_002n]]);
  await log.close();
});

test("any range is read exactly when it begins or ends inside frames and segments", async (t) => {
  const root = await temporaryRoot(t);
  let log = await openLog(root, { segmentBytes: 2000 });
  await appendMany(log, 120, 3);
  await log.close();
  assert.ok((await segmentFiles(root)).length > 5);
  log = await openLog(root, { segmentBytes: 2000 });
  for (const [from, to] of [[0, 120], [0, 0], [1, 2], [17, 100], [119, 120], [119, 500], [120, 120]] as const) {
    assert.deepEqual(await readAll(log.read({ from, to })), numbered(from, Math.min(to, 120)), `${from} to ${to}`);
  }
  for (let position = 0; position < 120; position += 7) assert.equal((await log.get(position)).position, position);
  await log.close();
});

test("a position is refused when it is not in the log", async (t) => {
  const root = await temporaryRoot(t);
  let log = await openLog(root, { segmentBytes: 1000 });
  await appendMany(log, 20);
  await assert.rejects(readAll(log.read({ from: 21 })), { reason: "PositionAhead", position: 21, next: 20 });
  await assert.rejects(log.get(20), { reason: "PositionAhead" });
  await assert.rejects(readAll(log.follow({ from: 21 })), { reason: "PositionAhead" });
  await log.close();

  const [oldest] = await segmentFiles(root);
  await rm(oldest!);
  log = await openLog(root, { segmentBytes: 1000 });
  assert.ok(log.oldest > 0 && log.oldest < 20);
  await assert.rejects(readAll(log.read({ from: log.oldest - 1 })), { reason: "PositionCompacted", oldest: log.oldest });
  assert.deepEqual(await readAll(log.read({ from: log.oldest })), numbered(log.oldest, 20));
  await log.close();
});

test("reading stops with the signal's reason when it is aborted", async (t) => {
  const log = await openLog(await temporaryRoot(t));
  await appendMany(log, 3);
  await assert.rejects(readAll(log.read({ from: 0, signal: AbortSignal.abort(new Error("enough")) })), { message: "enough" });
  await log.close();
});

test("followers get every fact once and in order when segments roll over under them", async (t) => {
  const root = await temporaryRoot(t);
  const log = await openLog(root, { segmentBytes: 1500 });
  await appendMany(log, 10);
  const total = 200;
  const follow = async (from: number): Promise<Fact[]> => {
    const facts: Fact[] = [];
    for await (const batch of log.follow({ from })) {
      facts.push(...batch);
      if (facts.at(-1)!.position === total - 1) break;
    }
    return facts;
  };
  const followers = [0, 5, 10].map(follow);
  await Promise.all([appendMany(log, 95), appendMany(log, 95)]);
  assert.equal(log.next, total);
  for (const [index, from] of [0, 5, 10].entries()) assert.deepEqual((await followers[index]!).map(({ position }) => position), range(from, total));
  assert.ok((await segmentFiles(root)).length > 10);
  await log.close();
});

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

test("following ends when the signal is aborted or the log is closed", async (t) => {
  const log = await openLog(await temporaryRoot(t));
  await appendMany(log, 2);
  const aborted = new AbortController();
  const seen: number[] = [];
  const one = (async () => {
    for await (const facts of log.follow({ from: 0, signal: aborted.signal })) {
      seen.push(...facts.map(({ position }) => position));
      queueMicrotask(() => aborted.abort());
    }
  })();
  await one;
  assert.deepEqual(seen, [0, 1]);
  assert.deepEqual(await readAll(log.follow({ from: 0, signal: AbortSignal.abort() })), []);

  const two = readAll(log.follow({ from: 1 }));
  log.append([someFact(2)]);
  await log.close();
  assert.deepEqual((await two).map(({ position }) => position), [1, 2]);
  assert.throws(() => log.append([someFact(3)]), { reason: "LogClosed" });
  await assert.rejects(log.durable(4), { reason: "LogClosed" });
});

test("callers are asked to hold back when the queue is over its bound", async (t) => {
  const log = await openLog(await temporaryRoot(t), { queueBytesMax: 1000 });
  assert.equal(log.pressure(), undefined);
  while (log.pressure() === undefined) log.append([someFact(log.next)]);
  assert.ok(log.next > 5 && log.next < 20);
  assert.equal(log.durableNext, 0);
  await log.pressure();
  assert.equal(log.pressure(), undefined);
  await log.close();
});

test("a second opening is refused while the log is open", async (t) => {
  const root = await temporaryRoot(t);
  const log = await openLog(root);
  await assert.rejects(openLog(root), { reason: "LogLocked", file: join(root, "log", "LOCK") });
  await log.close();
  await (await openLog(root)).close();
});

test("an append leaves no trace when one of its facts cannot be stored", async (t) => {
  const log = await openLog(await temporaryRoot(t));
  const looped: unknown[] = [];
  looped.push(looped);
  const refused: readonly (readonly [unknown, string])[] = [
    [{ at: new Date() }, "data.at"],
    [[new Map()], "data[0]"],
    [{ deep: { f: () => 1 } }, "data.deep.f"],
    [2n ** 64n, "data"],
    ["\ud800", "data"],
    [JSON.parse('{"__proto__": 1}'), "data"],
    [[undefined], "data[0]"],
    [Symbol("s"), "data"],
  ];
  for (const [data, where] of refused) assert.throws(() => log.append([someFact(0), someFact(1, data)]), { reason: "FactUnstorable", where });
  assert.throws(() => log.append([someFact(0, looped)]), { reason: "FactUnstorable" });
  assert.throws(() => log.append([{ ...someFact(0), version: -1 }]), { where: "version" });
  assert.throws(() => log.append([{ ...someFact(0), stream: "\udfff" }]), { where: "stream" });
  assert.throws(() => log.append([{ ...someFact(0), cause: 0.5 }]), { where: "cause" });
  assert.equal(log.next, 0);
  await appendMany(log, 1);
  await log.close();
});

test("an append is refused when it does not fit one frame, and taken when it just does", async (t) => {
  const root = await temporaryRoot(t);
  let log = await openLog(root);
  const large = "x".repeat(65_000);
  assert.throws(() => log.append(Array.from({ length: 65 }, (_, n) => someFact(n, large))), { reason: "AppendTooLarge" });
  await log.durable(log.append(Array.from({ length: 64 }, (_, n) => someFact(n, large))) + 64);
  await appendMany(log, 1);
  await log.close();
  log = await openLog(root);
  assert.equal((await readAll(log.read({ from: 0 }))).length, 65);
  assert.equal(log.damage, undefined);
  await log.close();
});
