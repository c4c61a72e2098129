import assert from "node:assert/strict";
import { readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { gunzipSync, gzipSync } from "node:zlib";
import { eventually } from "../../harness/eventually.ts";
import { temporaryDirectory } from "../../harness/temporary.ts";
import {
  assertConsecutive,
  feed,
  lineNumbers,
  logFiles,
  numberedChunks,
  openLog,
  readLog,
  readRecords,
} from "./log-files.ts";

const lines = 10_000;

for (const scheme of ["json-file", "cri"]) {
  test(`${scheme} holds each line once and in order when it rotates every few KB`, async (t) => {
    const path = `${await temporaryDirectory(t)}/c.log`;
    const log = await openLog(`${scheme}://${path}?max-size=8k&max-file=1000`);
    await feed(log, numberedChunks(0, lines));
    await log.close();
    const files = await logFiles(path);
    assert.ok(files.length > 80, `${files.length} files`);
    for (const file of files) {
      const bytes = await readFile(file);
      readRecords(bytes, scheme);
      const lastRecord = bytes.length - 1 - bytes.lastIndexOf("\n", bytes.length - 2);
      assert.ok(bytes.length - lastRecord < 8000, `${file}: full before its last record`);
      if (file !== path) assert.ok(bytes.length >= 8000, `${file}: rotated when full`);
    }
    assertConsecutive(lineNumbers(await readLog(path, scheme)), 0, lines);
  });

  test(`${scheme} keeps the newest lines without a gap when there are more than max-file holds`, async (t) => {
    const directory = await temporaryDirectory(t);
    const log = await openLog(`${scheme}://${directory}/c.log?max-size=20k&max-file=3`);
    await feed(log, numberedChunks(0, lines));
    await log.close();
    assert.deepEqual((await readdir(directory)).sort(), ["c.log", "c.log.1", "c.log.2"]);
    const numbers = lineNumbers(await readLog(`${directory}/c.log`, scheme));
    assertConsecutive(numbers, lines - numbers.length, lines);
    assert.ok(numbers.length > 200);
  });

  test(`${scheme} holds each line once when it is renamed and reopened every 10 ms`, async (t) => {
    const path = `${await temporaryDirectory(t)}/c.log`;
    const log = await openLog(`${scheme}://${path}`);
    let rotations = 0;
    let feeding = true;
    const rotating = (async () => {
      while (feeding) {
        await delay(10);
        // Named so that a higher number is older, as logFiles has it.
        await rename(path, `${path}.${100_000 - ++rotations}`);
        await log.reopen();
      }
    })();
    const total = 60_000;
    for (const chunk of numberedChunks(0, total)) {
      if (!log.write("stdout", chunk))
        await eventually("the log is writable", () => (log.write("stdout", Buffer.alloc(0)) ? true : undefined));
      if (Math.random() < 0.3) await delay(1);
    }
    feeding = false;
    await rotating;
    await log.close();
    assert.ok(rotations > 10, `${rotations} rotations`);
    assertConsecutive(lineNumbers(await readLog(path, scheme)), 0, total);
  });
}

test("max-file=1 starts the file anew when it is full", async (t) => {
  const directory = await temporaryDirectory(t);
  const log = await openLog(`cri://${directory}/c.log?max-size=20k`);
  await feed(log, numberedChunks(0, lines));
  await log.close();
  assert.deepEqual(await readdir(directory), ["c.log"]);
  const numbers = lineNumbers(await readLog(`${directory}/c.log`, "cri"));
  assertConsecutive(numbers, lines - numbers.length, lines);
});

test("rotated files are compressed under Docker's names and read back whole", async (t) => {
  const path = `${await temporaryDirectory(t)}/c.log`;
  const log = await openLog(`json-file://${path}?max-size=100k&max-file=50&compress=true`);
  await feed(log, numberedChunks(0, lines));
  await log.close();
  const files = await logFiles(path);
  assert.ok(files.length > 10, `${files.length} files`);
  assert.deepEqual(files, [
    ...Array.from({ length: files.length - 1 }, (_, index) => `${path}.${files.length - 1 - index}.gz`),
    path,
  ]);
  for (const file of files) assert.equal((await stat(file)).mode & 0o777, 0o640);
  assertConsecutive(lineNumbers(await readLog(path, "json-file")), 0, lines);
});

test("no line is missing while files are being compressed and moved up at once", async (t) => {
  const directory = await temporaryDirectory(t);
  const log = await openLog(`json-file://${directory}/c.log?max-size=30k&max-file=4&compress=true`);
  await feed(log, numberedChunks(0, 60_000));
  await log.close();
  assert.deepEqual((await readdir(directory)).sort(), ["c.log", "c.log.1.gz", "c.log.2.gz", "c.log.3.gz"]);
  const numbers = lineNumbers(await readLog(`${directory}/c.log`, "json-file"));
  assertConsecutive(numbers, 60_000 - numbers.length, 60_000);
});

test("what a killed compression left is cleared away and done again when the log is opened", async (t) => {
  const directory = await temporaryDirectory(t);
  await writeFile(`${directory}/c.log.1`, "whole\n");
  await writeFile(`${directory}/c.log.1.gz`, gzipSync("torn\n").subarray(0, 10));
  await writeFile(`${directory}/c.log.2.gz`, gzipSync("older\n"));
  await writeFile(`${directory}/c.log.gz.tmp`, "half");
  await writeFile(`${directory}/c.log.next.tmp`, "");
  await writeFile(`${directory}/c.log.20260301-080000`, "the kubelet's\n");
  const log = await openLog(`json-file://${directory}/c.log?max-size=30k&max-file=4&compress=true`);
  await log.close();
  assert.deepEqual((await readdir(directory)).sort(), ["c.log", "c.log.1.gz", "c.log.2.gz", "c.log.20260301-080000"]);
  assert.equal(gunzipSync(await readFile(`${directory}/c.log.1.gz`)).toString(), "whole\n");
});

test("the log goes on in its old file when reopening fails", async (t) => {
  const directory = await temporaryDirectory(t);
  const inside = `${directory}/inside`;
  const log = await openLog(`cri://${inside}/c.log`);
  await rename(inside, `${directory}/moved`);
  await assert.rejects(log.reopen(), { code: "ENOENT" });
  await feed(log, numberedChunks(0, 10));
  await log.close();
  assertConsecutive(lineNumbers(await readLog(`${directory}/moved/c.log`, "cri")), 0, 10);
});

test("a full file just grows when it cannot be rotated", async (t) => {
  const directory = await temporaryDirectory(t);
  const inside = `${directory}/inside`;
  const log = await openLog(`cri://${inside}/c.log?max-size=4k&max-file=3`);
  await rename(inside, `${directory}/moved`);
  await feed(log, numberedChunks(0, 1000));
  await log.close();
  assert.deepEqual(await readdir(`${directory}/moved`), ["c.log"]);
  assertConsecutive(lineNumbers(await readLog(`${directory}/moved/c.log`, "cri")), 0, 1000);
});
