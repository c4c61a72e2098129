import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import fc from "fast-check";
import { CriEncoder } from "../../../src/shim/log/cri.ts";
import { JsonFileEncoder } from "../../../src/shim/log/json-file.ts";
import { LineSplitter } from "../../../src/shim/log/line-splitter.ts";
import type { LogStream, RecordEncoder } from "../../../src/shim/log/record-encoder.ts";
import { timestamp } from "../../../src/shim/log/timestamp.ts";
import { temporaryDirectory } from "../../harness/temporary.ts";
import { openLog, readLog, readRecords } from "./log-files.ts";
import { goText, type ReferenceRecord, referenceRecords } from "./reference.ts";

const time = "2026-03-01T08:00:00.123456789Z";

interface Chunk {
  readonly stream: LogStream;
  readonly bytes: Buffer;
}

function formatted(encoder: RecordEncoder, pieceBytesMax: number, chunks: readonly Chunk[]): Buffer {
  const records: Buffer[] = [];
  const sink = (bytes: Buffer) => records.push(Buffer.from(bytes));
  const splitter = (stream: LogStream) =>
    new LineSplitter(pieceBytesMax, encoder.pieceEnd, {
      lines: (bytes) => encoder.lines(stream, bytes, time, sink),
      piece: (bytes) => encoder.piece(stream, bytes, time, sink),
    });
  const splitters = { stdout: splitter("stdout"), stderr: splitter("stderr") };
  // A copy that is overwritten afterwards: the chunk's memory belongs to the caller again.
  for (const { stream, bytes } of chunks) {
    const copy = Buffer.from(bytes);
    splitters[stream].push(copy);
    copy.fill(0x21);
  }
  splitters.stdout.end();
  splitters.stderr.end();
  return Buffer.concat(records);
}

/** Bytes in which line ends, escapes, characters of each length and broken ones are frequent. */
const output = fc
  .array(
    fc.oneof(
      fc
        .constantFrom("\n", "\\", '"', "\t", "\x00", "\x7f", "é", "–", "日", "😀", "\u2028", "plain text, a bit longer")
        .map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 5 }).map((bytes) => Buffer.from(bytes)),
    ),
    { maxLength: 60 },
  )
  .map((parts) => Buffer.concat(parts));
const chunks = fc.array(fc.record({ stream: fc.constantFrom("stdout" as const, "stderr" as const), bytes: output }), {
  maxLength: 12,
});
const pieceBytesMax = fc.integer({ min: 4, max: 40 });

function cuts(bytes: Buffer, at: readonly number[]): Chunk[] {
  const ends = [...at.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => ({ stream: "stdout", bytes: bytes.subarray(ends[index - 1] ?? 0, end) }));
}

test("json-file holds what the reference holds when the output is arbitrary bytes in arbitrary chunks", () => {
  const expected = ({ stream, bytes, whole }: ReferenceRecord) => ({
    stream,
    text: goText(bytes) + (whole ? "\n" : ""),
    attributes: undefined,
  });
  fc.assert(
    fc.property(chunks, pieceBytesMax, (all, pieceMax) => {
      const bytes = formatted(new JsonFileEncoder(pieceMax, {}), pieceMax, all);
      assert.deepEqual(readRecords(bytes, "json-file"), referenceRecords(all, pieceMax, true).map(expected));
    }),
    { numRuns: 400 },
  );
});

test("cri holds the very bytes when the output is arbitrary bytes in arbitrary chunks", () => {
  const expected = ({ stream, bytes, whole }: ReferenceRecord) =>
    Buffer.concat([Buffer.from(`${time} ${stream} ${whole ? "F" : "P"} `), bytes, Buffer.from("\n")]);
  fc.assert(
    fc.property(chunks, pieceBytesMax, (all, pieceMax) => {
      const bytes = formatted(new CriEncoder(pieceMax), pieceMax, all);
      assert.deepEqual(bytes, Buffer.concat(referenceRecords(all, pieceMax, false).map(expected)));
    }),
    { numRuns: 400 },
  );
});

test("both formats are the same however one output is cut into chunks", () => {
  fc.assert(
    fc.property(output, fc.array(fc.nat(), { maxLength: 20 }), pieceBytesMax, (bytes, at, pieceMax) => {
      for (const encoder of [new JsonFileEncoder(pieceMax, {}), new CriEncoder(pieceMax)]) {
        assert.deepEqual(formatted(encoder, pieceMax, cuts(bytes, at)), formatted(encoder, pieceMax, cuts(bytes, [])));
      }
    }),
  );
});

test("no record is longer than its encoder says when everything has to be escaped", () => {
  const worst: readonly (readonly [RecordEncoder, number])[] = [
    [new JsonFileEncoder(100, { tag: "é" }), 0x00],
    [new JsonFileEncoder(100, {}), 0xff],
    [new CriEncoder(100), 0x41],
  ];
  for (const [encoder, byte] of worst) {
    for (const end of ["", "\n"]) {
      const bytes = formatted(encoder, 100, [
        { stream: "stderr", bytes: Buffer.concat([Buffer.alloc(100, byte), Buffer.from(end)]) },
      ]);
      assert.ok(bytes.length <= encoder.recordBytesMax, `${bytes.length} of ${encoder.recordBytesMax}`);
    }
  }
});

test("json-file is byte for byte what Docker writes for plain lines", () => {
  const chunk = { stream: "stdout" as const, bytes: Buffer.from('he said "\\n"\n\npartial') };
  const expected = [
    `{"log":"he said \\"\\\\n\\"\\n","stream":"stdout","time":"${time}"}\n`,
    `{"log":"\\n","stream":"stdout","time":"${time}"}\n`,
    `{"log":"partial","stream":"stdout","time":"${time}"}\n`,
  ];
  assert.equal(formatted(new JsonFileEncoder(16384, {}), 16384, [chunk]).toString(), expected.join(""));
});

test("json-file makes a chunk of nothing but line ends or control characters whole, whatever it grows to", () => {
  for (const bytes of [Buffer.alloc(200_000, "\n"), Buffer.alloc(200_000, "\x01\n"), Buffer.alloc(200_000, 0)]) {
    const records = readRecords(
      formatted(new JsonFileEncoder(16384, {}), 16384, [{ stream: "stdout", bytes }]),
      "json-file",
    );
    assert.equal(records.map(({ text }) => text).join(""), bytes.toString());
  }
});

test("a timestamp has nine digits when the clock's nanoseconds are few", () => {
  assert.equal(timestamp({ now: () => 1772352000_000000042n }), "2026-03-01T08:00:00.000000042Z");
});

for (const scheme of ["json-file", "cri"]) {
  test(`${scheme} splits lines longer than 16 KiB and keeps one of exactly 16 KiB whole`, async (t) => {
    const path = `${await temporaryDirectory(t)}/c.log`;
    const log = await openLog(`${scheme}://${path}`);
    const exact = "e".repeat(16384);
    log.write("stdout", Buffer.from(`${exact}\n${exact}e\n`));
    for (let part = 0; part < 100; part++) log.write("stdout", Buffer.alloc(1000, "l"));
    log.write("stdout", Buffer.from("\nshort\n"));
    await log.close();
    const texts = (await readLog(path, scheme)).map(({ text }) => text);
    const long = "l".repeat(16384);
    assert.deepEqual(texts, [
      `${exact}\n`,
      exact,
      "e\n",
      long,
      long,
      long,
      long,
      long,
      long,
      `${"l".repeat(100_000 - 6 * 16384)}\n`,
      "short\n",
    ]);
  });

  test(`${scheme} keeps the streams' partial lines apart, and writes them when the streams end`, async (t) => {
    const path = `${await temporaryDirectory(t)}/c.log`;
    const log = await openLog(`${scheme}://${path}`);
    log.write("stdout", Buffer.from("out be"));
    log.write("stderr", Buffer.from("err\nunended err"));
    log.write("stdout", Buffer.from("gun\nunended out"));
    log.endStream("stdout");
    await log.close();
    assert.deepEqual(
      (await readLog(path, scheme)).map(({ stream, text }) => [stream, text]),
      [
        ["stderr", "err\n"],
        ["stdout", "out begun\n"],
        ["stdout", "unended out"],
        ["stderr", "unended err"],
      ],
    );
  });
}

test("binary output reads back byte for byte from cri and as Go reads it from json-file", async (t) => {
  const directory = await temporaryDirectory(t);
  const bytes = await readFile(process.execPath).then((all) => all.subarray(100_000, 300_000));
  const logs = await Promise.all(["json-file", "cri"].map((scheme) => openLog(`${scheme}://${directory}/${scheme}`)));
  for (let at = 0; at < bytes.length; at += 65536)
    for (const log of logs) log.write("stdout", bytes.subarray(at, at + 65536));
  await Promise.all(logs.map((log) => log.close()));
  const text = async (scheme: string) =>
    (await readLog(`${directory}/${scheme}`, scheme)).map((record) => record.text).join("");
  assert.deepEqual(Buffer.from(await text("cri"), "latin1"), bytes);
  assert.equal(await text("json-file"), goText(bytes));
});

test("attributes and the tag are in each record of json-file when the URI gives them", async (t) => {
  const path = `${await temporaryDirectory(t)}/c.log`;
  const log = await openLog(`json-file://${path}?attr.app=sh%C3%B6p&attr.__proto__=x&tag={{.ID}}/{{.FullID}}`);
  log.write("stdout", Buffer.from("a\nb"));
  await log.close();
  const attributes = { app: "shöp", ["__proto__"]: "x", tag: "0123456789ab/0123456789abcdef" };
  for (const record of await readLog(path, "json-file"))
    assert.equal(JSON.stringify(record.attributes), JSON.stringify(attributes));
  assert.equal((await readLog(path, "json-file")).length, 2);
});
