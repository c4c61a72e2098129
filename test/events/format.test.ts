import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { eachRecord, type Frame, frameSeed } from "../../src/events/frame.ts";
import { FrameScanner } from "../../src/events/scanner.ts";
import { Files } from "../../src/platform/files.ts";
import { openLog, segmentFiles, temporaryRoot } from "./fixture.ts";

const documentation = new URL("../../docs/formats/log.md", import.meta.url);

/** The bytes of the worked example in the documentation. */
async function documented(): Promise<Buffer> {
  const [, block] = /```hex\n([^`]*)```/.exec(await readFile(documentation, "utf8"))!;
  return Buffer.from(block!.replaceAll(/^[0-9a-f]{4} /gm, "").replaceAll(/\s/g, ""), "hex");
}

test("the bytes of a log are those of the documented example", async (t) => {
  const root = await temporaryRoot(t);
  const log = await openLog(root, { ids: { uuid: () => "f81d4fae-7dec-4d0a-a765-00a0c91e6bf6", request: () => "", directory: () => "" } });
  const common = {
    time: 1_700_000_000_123_456_789n,
    namespace: "default",
    stream: "task/redis",
    schema: 1,
    request: "00112233445566778899",
  };
  log.append([
    { ...common, version: 0, type: "TaskCreating", principal: { uid: 0, gid: 0, pid: 300 }, data: { runtime: "runc" } },
    { ...common, version: 1, type: "TaskCreated", principal: { uid: 0, gid: 0, pid: 1, client: "shiplogd" }, cause: 0, data: { pid: 70_000 } },
  ]);
  await log.durable(2);
  await log.close();
  const bytes = await readFile((await segmentFiles(root))[0]!);
  const expected = await documented();
  assert.equal(expected.length, 251);
  assert.equal(bytes.subarray(0, expected.length).toString("hex"), expected.toString("hex"));
  assert.ok(bytes.subarray(expected.length).every((byte) => byte === 0));
});

test("the exact bytes of a record can be hashed where they were read", async (t) => {
  const root = await temporaryRoot(t);
  const log = await openLog(root, { ids: { uuid: () => "f81d4fae-7dec-4d0a-a765-00a0c91e6bf6", request: () => "", directory: () => "" } });
  await log.close();
  const [path] = await segmentFiles(root);
  const files = new Files();
  const handle = await files.open("test.open", path!, "r+");
  const expected = await documented();
  await files.write("test.write", handle, expected, 0);
  const frames: Frame[] = await new FrameScanner(files, frameSeed(expected.subarray(12, 28)), 40, 0).next(handle);
  await handle.close();
  const hashes: [number, string][] = [];
  for (const frame of frames) {
    eachRecord(frame, (start, end, position) => {
      hashes.push([position, createHash("sha256").update(frame.source.subarray(start, end)).digest("hex")]);
    });
  }
  const sha256 = (start: number, length: number): string => createHash("sha256").update(expected.subarray(start, start + length)).digest("hex");
  assert.deepEqual(hashes, [[0, sha256(0x46, 89)], [1, sha256(0xa1, 90)]]);
});
