import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { openLog } from "../../../src/shim/program/log.ts";
import { temporaryDirectory } from "../../harness/temporary.ts";

async function logged(t: TestContext, debug = false) {
  const bundle = await temporaryDirectory(t);
  await promisify(execFile)("mkfifo", [join(bundle, "log")]);
  const shimLog = openLog(bundle, { debug });
  const reader = openSync(join(bundle, "log"), constants.O_RDONLY | constants.O_NONBLOCK);
  t.after(() => {
    closeSync(reader);
    closeSync(shimLog.descriptor!);
  });
  const read = () => {
    const bytes = Buffer.alloc(1024 * 1024);
    return bytes.toString("utf8", 0, readSync(reader, bytes)).split("\n").slice(0, -1);
  };
  return { log: shimLog.log, read };
}

test("a log line is logrus's", async (t) => {
  const { log, read } = await logged(t);
  log("debug", "not shown");
  log("warning", 'it "said"\nno', { id: "c1", error: new Error("outer", { cause: new Error("inner") }) });
  const [line, ...rest] = read();
  assert.deepEqual(rest, []);
  assert.match(line!, /^time="\d{4}-[^"]+Z" level=warning msg="it \\"said\\"\\nno" id=c1 error="outer: inner"$/);
});

test("a log that nobody reads makes nobody wait, and says how much it left out", async (t) => {
  const { log, read } = await logged(t, true);
  for (let index = 0; index < 3_000; index++) log("debug", `line ${index} ${"x".repeat(100)}`);
  const first = read();
  assert.ok(first.length > 100 && first.length < 3_000);
  log("info", "after");
  const [lost, after] = read();
  assert.match(lost!, new RegExp(`msg="${3_000 - first.length} lines of this log had no room"`));
  assert.match(after!, /msg=after/);
});

test("a log line is cut at what a pipe takes whole", async (t) => {
  const { log, read } = await logged(t);
  log("error", "y".repeat(10_000));
  const [line] = read();
  assert.equal(line!.length, 4_095);
});

test("a bundle without a log FIFO logs nothing", async (t) => {
  const bundle = await temporaryDirectory(t);
  openLog(bundle, { debug: true }).log("info", "x");
  await writeFile(join(bundle, "log"), "");
  assert.equal(openLog(bundle, { debug: true }).descriptor, undefined);
});
