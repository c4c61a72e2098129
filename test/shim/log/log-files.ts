/** Reading logs back, as their readers do. */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { type FormattedLog, type LogLoss, type LogStream, openFormattedLog } from "../../../src/shim/log/mod.ts";

export interface ReadRecord {
  readonly stream: LogStream;
  /** Of json-file: with its "\n" if it has one. Of cri: one byte a character, and "\n" added to what is whole. */
  readonly text: string;
  readonly attributes: unknown;
}

const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/;

/** The records in a file's bytes; fails at anything that is not one. */
export function readRecords(bytes: Buffer, scheme: string): ReadRecord[] {
  const lines = bytes.toString("latin1").split("\n");
  assert.equal(lines.pop(), "", "the file ends with a line end");
  return lines.map(scheme === "cri" ? readCri : readJson);
}

function readJson(line: string): ReadRecord {
  const record = JSON.parse(Buffer.from(line, "latin1").toString());
  const { log, stream, attrs, time: at, ...others } = record;
  assert.deepEqual(others, {});
  assert.match(at, time);
  assert.match(stream, /^std(out|err)$/);
  assert.equal(typeof log, "string");
  return { stream, text: log, attributes: attrs };
}

function readCri(line: string): ReadRecord {
  const [, at, stream, tag, text] =
    /^(\S+) (stdout|stderr) ([PF]) (.*)$/s.exec(line) ?? assert.fail(`not a record: ${line}`);
  assert.match(at!, time);
  return { stream: stream as LogStream, text: tag === "F" ? `${text}\n` : text!, attributes: undefined };
}

/** The rotated files of a log and the one being written, the oldest first. */
export async function logFiles(path: string): Promise<string[]> {
  const rotated = (await readdir(dirname(path))).flatMap((name) => {
    const match = name.startsWith(`${basename(path)}.`) ? /\.(\d+)(\.gz)?$/.exec(name) : null;
    return match === null ? [] : [{ number: Number(match[1]), path: join(dirname(path), name) }];
  });
  return [...rotated.sort((a, b) => b.number - a.number).map((file) => file.path), path];
}

/** Everything in a log, the oldest first; compressed files are unpacked. */
export async function readLog(path: string, scheme: string): Promise<ReadRecord[]> {
  const records: ReadRecord[] = [];
  for (const file of await logFiles(path)) {
    const bytes = await readFile(file);
    records.push(...readRecords(file.endsWith(".gz") ? gunzipSync(bytes) : bytes, scheme));
  }
  return records;
}

export const context = { namespace: "logs", containerId: "0123456789abcdef", execId: "", terminal: false };

/** Opens a log; what it says was lost is added to `losses`. */
export function openLog(uri: string, losses: LogLoss[] = []): Promise<FormattedLog> {
  return openFormattedLog(uri, context, (loss) => losses.push(loss));
}

const numberOf = (line: number): string => `line ${String(line).padStart(9, "0")} ${"x".repeat(line % 60)}\n`;

/** Lines from number `from` to before `to`, in chunks that end where it happens. */
export function* numberedChunks(from: number, to: number, chunkBytes = 4000): Generator<Buffer> {
  let text = "";
  for (let line = from; line < to; line++) {
    text += numberOf(line);
    for (; text.length >= chunkBytes; text = text.slice(chunkBytes)) yield Buffer.from(text.slice(0, chunkBytes));
  }
  if (text !== "") yield Buffer.from(text);
}

/** The numbers of numbered lines. */
export function lineNumbers(records: readonly ReadRecord[]): number[] {
  return records.map(({ text }) => {
    const line = Number(/^line (\d+) /.exec(text)?.[1]);
    assert.equal(text, numberOf(line));
    return line;
  });
}

/** Fails unless these are the numbers from `from` to before `to`, each once and in order. */
export function assertConsecutive(numbers: readonly number[], from: number, to: number): void {
  assert.equal(numbers.length, to - from);
  for (const [index, number] of numbers.entries()) assert.equal(number, from + index);
}

/** Hands chunks over as a shim does: no more while the log says so. */
export async function feed(log: FormattedLog, chunks: Iterable<Buffer>): Promise<void> {
  let wake = (): void => {};
  log.onWritable(() => wake());
  for (const chunk of chunks) {
    if (log.write("stdout", chunk)) continue;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}
