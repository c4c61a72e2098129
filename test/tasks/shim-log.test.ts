import assert from "node:assert/strict";
import { once } from "node:events";
import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { pino } from "pino";
import { ShimLog } from "../../src/tasks/shim-log.ts";
import { eventually } from "../harness/eventually.ts";
import { temporaryDirectory } from "../harness/temporary.ts";

test("lines that a shim writes to its log FIFO are passed on, before and after it is opened anew", async (t) => {
  const bundle = await temporaryDirectory(t);
  const destination = new PassThrough();
  const lines: string[] = [];
  destination.on("data", (chunk: Buffer) => {
    for (const line of chunk.toString().trim().split("\n")) lines.push((JSON.parse(line) as { shim: string }).shim);
  });
  const logger = pino({ level: "debug" }, destination);
  const first = new ShimLog(bundle, logger);
  assert.ok((await stat(join(bundle, "log"))).isFIFO());
  const shim = await open(join(bundle, "log"), "w");
  await shim.write("one\ntw");
  await shim.write("o\n");
  await eventually("two lines", () => (lines.length === 2 ? true : undefined));
  const second = new ShimLog(bundle, logger);
  first.close();
  await shim.write("three\n");
  await eventually("a third line", () => (lines.length === 3 ? true : undefined));
  assert.deepEqual(lines, ["one", "two", "three"]);
  await shim.close();
  second.close();
});

test("a shim that writes without an end of line does not fill the daemon's memory", async (t) => {
  const bundle = await temporaryDirectory(t);
  const destination = new PassThrough();
  const log = new ShimLog(bundle, pino({ level: "debug" }, destination));
  const shim = await open(join(bundle, "log"), "w");
  for (let written = 0; written < 1024 * 1024; written += 65_536) await shim.write("x".repeat(65_536));
  await shim.write("\n");
  const [chunk] = (await once(destination, "data")) as [Buffer];
  assert.equal((JSON.parse(chunk.toString()) as { shim: string }).shim.length, 16_384);
  await shim.close();
  log.close();
});
