import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { test } from "node:test";
import type { FormattedLog, LogLoss } from "../../../src/shim/log/mod.ts";
import { temporaryDirectory } from "../../harness/temporary.ts";
import { within } from "../../harness/eventually.ts";
import { assertConsecutive, feed, lineNumbers, numberedChunks, openLog, readLog } from "./log-files.ts";
import { smallDisk } from "./small-disk.ts";

const lines = 50_000;

function lostLines(losses: readonly LogLoss[]): number {
  return losses.reduce((sum, loss) => sum + loss.lines, 0);
}

function assertIncreasing(numbers: readonly number[]): void {
  for (const [index, number] of numbers.entries()) assert.ok(index === 0 || number > numbers[index - 1]!);
}

/** Hands chunks over until the log wants no more; returns the lines that it has taken. */
function writeUntilRefused(log: FormattedLog): number {
  let line = 0;
  while (log.write("stdout", Buffer.concat([...numberedChunks(line, line + 100)]))) line += 100;
  return line + 100;
}

for (const scheme of ["json-file", "cri"]) {
  test(`${scheme} drops and counts what does not fit a full disk when on-full=drop, and goes on when there is room`, async (t) => {
    const disk = await smallDisk(t);
    const path = `${disk.directory}/c.log`;
    const losses: LogLoss[] = [];
    await disk.fill(500_000);
    const log = await openLog(`${scheme}://${path}?on-full=drop`, losses);
    await feed(log, numberedChunks(0, lines));
    // An answer to this says that the writer has come so far.
    await log.reopen();
    await feed(log, numberedChunks(lines, lines + 100));
    await disk.empty();
    await feed(log, numberedChunks(lines + 100, lines + 200));
    await log.close();
    const numbers = lineNumbers(await readLog(path, scheme));
    assertIncreasing(numbers);
    assert.equal(numbers.length + lostLines(losses), lines + 200);
    assert.ok(lostLines(losses) > lines / 2);
    assert.deepEqual(
      numbers.slice(-50),
      Array.from({ length: 50 }, (_, index) => lines + 150 + index),
    );
    for (const { reason } of losses) assert.equal(reason, "the file cannot be written: ENOSPC");
  });

  test(`${scheme} makes the process wait for a full disk when on-full=block, and loses nothing`, async (t) => {
    const disk = await smallDisk(t);
    const path = `${disk.directory}/c.log`;
    const losses: LogLoss[] = [];
    await disk.fill(300_000);
    const log = await openLog(`${scheme}://${path}?on-full=block`, losses);
    let waited = 0;
    log.onWritable(() => waited++);
    const taken = writeUntilRefused(log);
    const feeding = feed(log, numberedChunks(taken, lines));
    await readUntilFull(path, scheme);
    await disk.empty();
    await within("the process goes on", 10_000, feeding);
    await log.close();
    assert.ok(waited > 0);
    assert.deepEqual(losses, []);
    assertConsecutive(lineNumbers(await readLog(path, scheme)), 0, lines);
  });
}

/** Until the file holds whole records and no longer grows with the disk: it has hit the end of it. */
async function readUntilFull(path: string, scheme: string): Promise<void> {
  for (
    let before = -1, now = 0;
    before !== now || now === 0;
    before = now, now = (await readLog(path, scheme)).length
  ) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test("a log closes in bounded time and counts the loss when its disk stays full or hangs", async (t) => {
  const [full, hanging] = [await smallDisk(t), await smallDisk(t)];
  const fullLosses: LogLoss[] = [];
  const hangingLosses: LogLoss[] = [];
  await full.fill(100_000);
  const onFull = await openLog(`json-file://${full.directory}/c.log?on-full=block`, fullLosses);
  const onHanging = await openLog(`cri://${hanging.directory}/c.log`, hangingLosses);
  const behindIt = await openLog(`cri://${hanging.directory}/behind.log`, hangingLosses);
  await hanging.freeze();
  const taken = writeUntilRefused(onFull);
  const takenByHanging = writeUntilRefused(onHanging) + writeUntilRefused(behindIt);
  await within("both logs close", 9000, Promise.all([onFull, onHanging, behindIt].map((log) => log.close())));
  assert.equal(lostLines(hangingLosses), takenByHanging);
  assert.ok(lostLines(fullLosses) > 0);
  assertConsecutive(
    lineNumbers(await readLog(`${full.directory}/c.log`, "json-file")),
    0,
    taken - lostLines(fullLosses),
  );
  assert.equal(fullLosses.at(-1)!.reason, "the file could not be written before it was closed");

  await hanging.thaw();
  // Its turn comes after theirs; what was given up without having begun is not written then.
  const later = await openLog(`cri://${hanging.directory}/later.log`);
  await feed(later, numberedChunks(0, 10));
  await later.close();
  assert.deepEqual(await readLog(`${hanging.directory}/behind.log`, "cri"), []);
});

test("a rotated log needs no more of a disk than max-size times max-file", async (t) => {
  const disk = await smallDisk(t);
  const losses: LogLoss[] = [];
  await disk.fill(700_000);
  const log = await openLog(`json-file://${disk.directory}/c.log?max-size=200k&max-file=3`, losses);
  await feed(log, numberedChunks(0, lines));
  await log.close();
  assert.deepEqual(losses, []);
  const numbers = lineNumbers(await readLog(`${disk.directory}/c.log`, "json-file"));
  assertConsecutive(numbers, lines - numbers.length, lines);
});

test("a compression that finds the disk full leaves the file as it was", async (t) => {
  const disk = await smallDisk(t);
  const path = `${disk.directory}/c.log`;
  await disk.fill(260_000);
  const log = await openLog(`cri://${path}?max-size=200k&max-file=3&compress=true&on-full=block`);
  await feed(log, numberedChunks(0, 2100));
  await disk.fill(0).catch(() => {});
  await log.close();
  assertConsecutive(lineNumbers(await readLog(path, "cri")), 0, 2100);
  assert.ok(!(await readdir(disk.directory)).some((name) => name.endsWith(".tmp")));
});

test("a disk that hangs holds up its own logs only", async (t) => {
  const disk = await smallDisk(t);
  const directory = await temporaryDirectory(t);
  const losses: LogLoss[] = [];
  const hung = await Promise.all(
    Array.from({ length: 6 }, (_, index) => openLog(`cri://${disk.directory}/${index}.log`, losses)),
  );
  const dropping = await openLog(`cri://${disk.directory}/dropping.log?mode=non-blocking&max-buffer-size=100k`, losses);
  await disk.freeze();
  const taken = hung.map(writeUntilRefused);
  const other = await openLog(`cri://${directory}/other.log`);
  await within("another disk's log", 5000, feed(other, numberedChunks(0, lines)));
  await within("another disk's log closes", 5000, other.close());
  assertConsecutive(lineNumbers(await readLog(`${directory}/other.log`, "cri")), 0, lines);
  await within("a log that drops", 5000, feed(dropping, numberedChunks(0, lines)));
  await disk.thaw();
  await Promise.all([...hung, dropping].map((log) => log.close()));
  for (const [index, count] of taken.entries())
    assertConsecutive(lineNumbers(await readLog(`${disk.directory}/${index}.log`, "cri")), 0, count);
  const kept = lineNumbers(await readLog(`${disk.directory}/dropping.log`, "cri"));
  assertIncreasing(kept);
  assert.equal(kept.length + lostLines(losses), lines);
  assert.deepEqual(new Set(losses.map(({ reason }) => reason)), new Set(["the buffer is full"]));
});

test("losses are told at most once a second, and once at the end", async (t) => {
  const disk = await smallDisk(t);
  await disk.fill(0);
  const losses: LogLoss[] = [];
  const log = await openLog(`cri://${disk.directory}/c.log`, losses);
  const started = performance.now();
  for (let turn = 0; turn < 50; turn++) {
    await feed(log, numberedChunks(turn * 100, turn * 100 + 100));
    await log.reopen();
  }
  await log.close();
  assert.ok(losses.length <= 1 + Math.ceil((performance.now() - started) / 1000), `${losses.length} reports`);
  assert.equal(lostLines(losses) + (await readLog(`${disk.directory}/c.log`, "cri")).length, 5000);
});
