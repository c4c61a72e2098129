import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { AttachmentNeeded, encodeData, type Log, recordBytesMax, verifyLog } from "../../src/events/mod.ts";
import { appendMany, openLog, readAll, someFact, temporaryRoot } from "./fixture.ts";

function needed(log: Log, data: unknown): AttachmentNeeded {
  try {
    log.append([someFact(log.next, data)]);
  } catch (error) {
    assert.ok(error instanceof AttachmentNeeded);
    return error;
  }
  return assert.fail("the payload fits");
}

test("a payload that does not fit its record is stored first, and read back in its place", async (t) => {
  const root = await temporaryRoot(t);
  let log = await openLog(root);
  const large = { args: Array.from({ length: 20_000 }, (_, n) => `--flag=${n}`), last: 7n };
  await appendMany(log, 1);
  const error = needed(log, large);
  assert.equal(log.next, 1);
  await log.attach(error);
  const [[digest, payload]] = [...error.payloads] as [[string, Uint8Array]];
  const path = join(root, "attachments", "sha256", digest.slice("sha256:".length));
  assert.ok((await readFile(path)).equals(payload));
  assert.deepEqual(Buffer.from(payload), encodeData(large));
  assert.equal(digest, `sha256:${createHash("sha256").update(payload).digest("hex")}`);

  await log.durable(log.append([someFact(1, large), someFact(2), someFact(3, large)]) + 3);
  assert.deepEqual((await readAll(log.read({ from: 0 }))).map(({ data }) => data), [{ number: 0 }, large, { number: 2 }, large]);
  await log.close();
  log = await openLog(root);
  assert.deepEqual((await log.get(3)).data, large);
  await log.close();
  const report = await verifyLog(root);
  assert.deepEqual([report.problems, report.attachments], [[], 2]);
});

test("a record is inline up to its bound and attached beyond it", async (t) => {
  const root = await temporaryRoot(t);
  const log = await openLog(root);
  await log.durable(log.append([someFact(0, "")]) + 1);
  const room = recordBytesMax - (await recordLength(root)) - 2;
  log.append([someFact(1, "x".repeat(room))]);
  assert.equal(needed(log, "x".repeat(room + 1)).payloads.size, 1);
  await log.close();
  assert.deepEqual(await readdir(root), ["log"]);
});

/** Length of the first record, as its prefix says. */
async function recordLength(root: string): Promise<number> {
  return (await readFile(join(root, "log", "00000000000000000000.log"))).readUInt16BE(40 + 28);
}

test("several payloads of one append are asked for at once", async (t) => {
  const log = await openLog(await temporaryRoot(t));
  const facts = ["a", "b", "a"].map((letter, index) => someFact(index, letter.repeat(70_000)));
  assert.throws(() => log.append(facts), (error) => error instanceof AttachmentNeeded && error.payloads.size === 2);
  await log.close();
});

test("a payload beyond the bound of attachments is refused", async (t) => {
  const log = await openLog(await temporaryRoot(t));
  assert.throws(() => log.append([someFact(0, Buffer.alloc(64 * 1024 * 1024))]), { reason: "AttachmentTooLarge" });
  await appendMany(log, 1);
  await log.close();
});

test("a fact is not given out when its attachment is missing, cut or changed", async (t) => {
  const root = await temporaryRoot(t);
  const log = await openLog(root);
  const error = needed(log, "x".repeat(70_000));
  await log.attach(error);
  await log.durable(log.append([someFact(0, "x".repeat(70_000)), someFact(1)]) + 2);
  const [digest] = [...error.payloads.keys()] as [string];
  const path = join(root, "attachments", "sha256", digest.slice(7));
  const spoil: readonly (readonly [string, () => Promise<void>])[] = [
    ["the content does not match the digest", async () => writeFile(path, Buffer.alloc(70_005))],
    ["69999 bytes instead of 70005", async () => truncate(path, 69_999)],
    ["the file is missing", async () => rm(path)],
  ];
  for (const [finding, change] of spoil) {
    await change();
    await assert.rejects(log.get(0), { reason: "AttachmentDamaged", digest, file: path, finding });
    const { problems } = await verifyLog(root);
    assert.deepEqual(problems.map(({ file, position }) => [file, position]), [[path, 0]]);
  }
  // Only the one fact is lost.
  assert.equal(log.damage, undefined);
  assert.equal((await log.get(1)).position, 1);
  await appendMany(log, 1);

  await log.attach(error);
  assert.equal((await log.get(0)).data, "x".repeat(70_000));
  await log.close();
});

test("a payload that no record names is a stray once its process has ended, and can be stored again after its removal", async (t) => {
  const root = await temporaryRoot(t);
  const [named, unnamed] = ["named", "unnamed"].map((text) => text.repeat(recordBytesMax)) as [string, string];
  let log = await openLog(root);
  const [kept, stray] = [needed(log, named), needed(log, unnamed)].map((error) => [...error.payloads.keys()][0]!.slice("sha256:".length));
  await log.attach(needed(log, unnamed));
  await log.attach(needed(log, named));
  await log.durable(log.append([someFact(0, named)]) + 1);
  assert.deepEqual([...(await log.strayAttachments())], [], "a record may be about to name what this process has made");
  await log.close();

  log = await openLog(root);
  const directory = join(root, "attachments", "sha256");
  const unfinished = `${stray}.1.0.tmp`;
  await writeFile(join(directory, unfinished), "half");
  const strays = await log.strayAttachments();
  assert.deepEqual(
    [...strays].sort(),
    [stray!, unfinished].map((name) => [name, join(directory, name)] as [string, string]).sort(),
  );
  await log.removeAttachment(unfinished);
  // Whoever stores the same payload while it is being removed has it in the end.
  await Promise.all([log.removeAttachment(stray!), log.attach(needed(log, unnamed))]);
  await log.removeAttachment(stray!);
  assert.deepEqual((await readdir(directory)).sort(), [kept!, stray!].sort());
  await log.durable(log.append([someFact(1, unnamed)]) + 1);
  assert.deepEqual((await readAll(log.read({ from: 0 }))).map(({ data }) => data), [named, unnamed]);
  await log.close();
});
