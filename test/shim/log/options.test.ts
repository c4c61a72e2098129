import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { test } from "node:test";
import { parseLogUri } from "../../../src/shim/log/log-options.ts";
import { isFormattedLog } from "../../../src/shim/log/log-scheme.ts";
import { temporaryDirectory } from "../../harness/temporary.ts";
import { openLog } from "./log-files.ts";

const parse = (uri: string) => parseLogUri(uri, "0123456789abcdef");

test("a log without options has Docker's defaults", () => {
  assert.deepEqual(parse("json-file:///var/log/with%20space.log"), {
    format: "json-file",
    path: "/var/log/with space.log",
    maxSize: Number.POSITIVE_INFINITY,
    maxFile: 1,
    compress: false,
    dropBeyondBytes: undefined,
    onFull: "drop",
    maxLineSize: 16384,
    attributes: Object.create(null),
  });
});

test("a log's options are read with Docker's units", () => {
  const json = parse(
    "json-file:///l?max-size=10m&max-file=5&compress=true&mode=non-blocking&max-buffer-size=4m&on-full=block",
  );
  assert.equal(json.maxSize, 10_000_000);
  assert.equal(json.maxFile, 5);
  assert.equal(json.compress, true);
  assert.equal(json.dropBeyondBytes, 4 * 1024 * 1024);
  assert.equal(json.onFull, "block");
  assert.equal(parse("cri:///l?max-size=1.5k").maxSize, 1500);
  assert.equal(parse("cri:///l?max-size=3GB").maxSize, 3e9);
  assert.equal(parse("cri:///l?max-line-size=4k").maxLineSize, 4096);
  assert.equal(parse("cri:///l?mode=non-blocking").dropBeyondBytes, 1_000_000);
});

const wrong: Readonly<Record<string, string>> = {
  "json-file:///l?max-files=3": "unknown log opt 'max-files' for json-file log driver",
  "json-file:///l?labels=a": "unknown log opt 'labels' for json-file log driver",
  "json-file:///l?max-line-size=3": "unknown log opt 'max-line-size' for json-file log driver",
  "cri:///l?tag=x": "unknown log opt 'tag' for cri log driver",
  "cri:///l?attr.a=x": "unknown log opt 'attr.a' for cri log driver",
  "cri:///l?max-size=ten": "invalid size: 'ten'",
  "cri:///l?max-size=0": "max-size must be a positive number",
  "cri:///l?max-file=0": "max-file cannot be less than 1",
  "cri:///l?max-file=two": 'strconv.Atoi: parsing "two": invalid syntax',
  "cri:///l?max-file=1e3": 'strconv.Atoi: parsing "1e3": invalid syntax',
  "cri:///l?compress=yes": 'strconv.ParseBool: parsing "yes": invalid syntax',
  "cri:///l?compress=true&max-size=1m": "compress cannot be true when max-file is less than 2 or max-size is not set",
  "cri:///l?compress=true&max-file=3": "compress cannot be true when max-file is less than 2 or max-size is not set",
  "cri:///l?mode=fast": "logger: logging mode not supported: fast",
  "cri:///l?max-buffer-size=1m": "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
  "cri:///l?mode=non-blocking&max-buffer-size=big": "error parsing option max-buffer-size: invalid size: 'big'",
  "cri:///l?mode=non-blocking&max-buffer-size=65m": "max-buffer-size cannot be more than 64m",
  "cri:///l?on-full=panic": "logger: on-full not supported: panic",
  "cri:///l?max-line-size=2m": "max-line-size must be between 1 and 1m",
  "cri:///l?max-file=1&max-file=2": "log opt 'max-file' is given more than once",
  "json-file:///l?tag={{.Name}}": "logger: tag template not supported: {{.Name}}",
  "json-file://host/l": "invalid log uri 'json-file://host/l': it must be json-file:///path?options",
  "json-file:///l#x": "invalid log uri 'json-file:///l#x': it must be json-file:///path?options",
  "json-file:///": "invalid log uri 'json-file:///': its path must be absolute and name a file",
  "json-file://": "invalid log uri 'json-file://': its path must be absolute and name a file",
  "json-file:///%00": "invalid log uri 'json-file:///%00': its path must be absolute and name a file",
  "json-file:///%ff": "invalid log uri 'json-file:///%ff': its path is not percent-encoded UTF-8",
  "file:///l": "invalid log uri 'file:///l'",
};

for (const [uri, message] of Object.entries(wrong)) {
  test(`a log is refused in Docker's words when its URI is ${uri}`, () => {
    assert.throws(() => parse(uri), { message });
  });
}

test("attributes are refused when they would be most of each record", () => {
  assert.throws(() => parse(`json-file:///l?attr.a=${"x".repeat(17_000)}`), {
    message: "attributes cannot be more than 16k",
  });
});

test("only the formatters' schemes are formatted logs", () => {
  assert.deepEqual(["json-file:///l", "cri:///l", "file:///l", "binary:///l", "/l", ""].filter(isFormattedLog), [
    "json-file:///l",
    "cri:///l",
  ]);
});

test("a log is refused, without waiting, when its path is a directory or a FIFO", async (t) => {
  const directory = await temporaryDirectory(t);
  await mkdir(`${directory}/sub`);
  execFileSync("mkfifo", [`${directory}/fifo`]);
  await assert.rejects(openLog(`cri://${directory}/sub`), /failed to open log file .*: EISDIR/);
  await assert.rejects(openLog(`cri://${directory}/fifo`), /is not a regular file/);
});

test("a log's missing directories are made", async (t) => {
  const log = await openLog(`cri://${await temporaryDirectory(t)}/a/b/c.log`);
  await log.close();
});
