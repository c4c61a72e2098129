/** Every call that the log makes to the kernel fails once, and what was acknowledged must all be there afterwards. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { test } from "node:test";
import { AttachmentNeeded, type Log, LogFailed, verifyLog } from "../../src/events/mod.ts";
import { Files } from "../../src/platform/files.ts";
import { Faults, openLog, readAll, someFact, temporaryRoot } from "./fixture.ts";

const appends = 14;
const options = { segmentBytes: 900 };
/** Too long for a record. */
const large = { text: "x".repeat(70_000) };

/** One life of a daemon: opens, appends pairs of facts, reads, closes. Calls `acknowledged` after each append that was. */
async function life(root: string, faults: Faults, acknowledged: (first: number) => void, fatal: (error: LogFailed) => void): Promise<void> {
  const log = await openLog(root, { ...options, files: new Files(faults.hook), onFatal: fatal });
  try {
    for (let n = 0; n < appends; n++) acknowledged(await appendPair(log, n === 3 ? large : { n }));
    for await (const facts of log.read({ from: 0 })) assert.ok(facts.length > 0);
    await log.get(5);
  } finally {
    await log.close();
  }
}

async function appendPair(log: Log, data: unknown): Promise<number> {
  for (;;) {
    try {
      const first = log.append([someFact(log.next, data), someFact(log.next + 1, data)]);
      await log.durable(first + 2);
      return first;
    } catch (error) {
      if (!(error instanceof AttachmentNeeded)) throw error;
      await log.attach(error);
    }
  }
}

async function operations(root: string): Promise<ReadonlyMap<string, number>> {
  const faults = new Faults();
  const failed = (error: LogFailed): void => assert.fail(error);
  await life(root, faults, () => {}, failed);
  await life(root, faults, () => {}, failed);
  return faults.calls;
}

test("everything acknowledged is there once and in order when any one call has failed", async (t) => {
  const calls = await operations(await temporaryRoot(t));
  for (const operation of ["log.fdatasync", "log.write", "log.begin.rename", "log.seal.fsync", "attachment.rename", "log.lock", "log.prepare.preallocate"]) {
    assert.ok(calls.has(operation), operation);
  }
  for (const operation of calls.keys()) {
    for (let n = 1, fired = true; fired; n++) fired = await failOnce(await temporaryRoot(t), operation, n);
  }
});

/** Two lives with the fault somewhere in them, then a life without; whether the fault came to be. */
async function failOnce(root: string, operation: string, n: number): Promise<boolean> {
  const faults = new Faults().failAt(operation, n);
  const name = `${operation} ${n}`;
  const acknowledged: number[] = [];
  let fatal: LogFailed | undefined;
  for (let lives = 0; lives < 2; lives++) {
    try {
      await life(root, faults, (first) => acknowledged.push(first), (error) => {
        fatal = error;
      });
    } catch (error) {
      assert.match(String(error), /injected/, name);
      assert.ok(fatal === undefined || error === fatal, name);
    }
  }
  const log = await openLog(root, options);
  assert.equal(log.damage, undefined, name);
  const facts = await readAll(log.read({ from: 0 }));
  assert.deepEqual(facts.map(({ position }) => position), Array.from({ length: log.next }, (_, index) => index), name);
  assert.equal(facts.length % 2, 0, `${name}: half an append`);
  for (const first of acknowledged) assert.ok(first + 1 < log.next, `${name}: ${first} is lost`);
  assert.equal(new Set(acknowledged).size, acknowledged.length, `${name}: a position was given out twice`);
  for (const { version, position } of facts) assert.equal(version, position, name);
  await log.close();
  const report = await verifyLog(root);
  assert.deepEqual([report.problems, report.unfinished], [[], []], name);
  await rm(root, { recursive: true });
  return faults.fired;
}

test("nothing is written or synced again when a sync has failed", async (t) => {
  const faults = new Faults().failAt("log.fdatasync", 2);
  const fatal: LogFailed[] = [];
  const log = await openLog(await temporaryRoot(t), { files: new Files(faults.hook), onFatal: (error) => fatal.push(error) });
  await log.durable(log.append([someFact(0)]) + 1);
  const follower = (async () => {
    for await (const facts of log.follow({ from: 0 })) assert.equal(facts[0]!.position, 0);
  })();
  const waiting = [log.durable(log.append([someFact(1)]) + 1), follower];
  for (const each of waiting) await assert.rejects(each, { reason: "LogFailed" });
  assert.throws(() => log.append([someFact(2)]), LogFailed);
  await assert.rejects(log.durable(2), LogFailed);
  assert.equal(log.pressure(), undefined);
  assert.deepEqual([fatal.length, log.durableNext, faults.calls.get("log.write"), faults.calls.get("log.fdatasync")], [1, 1, 2, 2]);
  assert.match(String((fatal[0]!.cause as Error).message), /injected: log.fdatasync 2/);
  await log.close();
});
