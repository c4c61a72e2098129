import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, test } from "node:test";
import fc from "fast-check";
import { LayerInvalid } from "../../src/snapshots/mod.ts";
import { type TarEntry, TarReader } from "../../src/snapshots/tar-reader.ts";
import { archive, member, paxPayload, sum } from "./tar-builder.ts";

interface Read extends TarEntry {
  readonly content: Buffer;
}

/** Pushes the archive in pieces that end at `cuts`. */
function read(bytes: Buffer, cuts: readonly number[] = []): Read[] {
  const entries: Read[] = [];
  let current: TarEntry | undefined;
  let pieces: Buffer[] = [];
  const reader = new TarReader({
    entry(entry) {
      assert.equal(current, undefined);
      current = entry;
      pieces = [];
    },
    content: (piece) => pieces.push(Buffer.from(piece)),
    entryEnd() {
      entries.push({ ...current!, content: Buffer.concat(pieces) });
      current = undefined;
    },
  });
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  let at = 0;
  for (const end of ends) {
    reader.push(bytes.subarray(at, end));
    at = end;
  }
  reader.end();
  assert.equal(current, undefined);
  return entries;
}

function readOne(bytes: Buffer): Read {
  const entries = read(bytes);
  assert.equal(entries.length, 1);
  return entries[0]!;
}

const invalid = (fault: RegExp, offset?: number) => (thrown: unknown) => {
  assert.ok(thrown instanceof LayerInvalid, String(thrown));
  assert.match(thrown.message, fault);
  if (offset !== undefined) assert.equal(thrown.offset, offset);
  return true;
};

describe("tar reader", () => {
  test("an archive is read the same however it is cut into pieces", () => {
    const bytes = archive(
      { name: "a", content: "x".repeat(1000) },
      { name: "b", pax: [["path", "long/".repeat(60)]], content: "yz" },
      { name: "d/", flag: "5" },
      { name: "e", content: "z".repeat(512) },
    );
    const whole = read(bytes);
    assert.deepEqual(
      whole.map(({ name }) => name),
      ["a", "long/".repeat(60), "d/", "e"],
    );
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 60 }), (cuts) => assert.deepEqual(read(bytes, cuts), whole)),
      { numRuns: 50 },
    );
    assert.deepEqual(read(bytes, [...bytes.keys()]), whole);
  });

  test("an archive cut short anywhere within an entry is refused, and never read as whole", () => {
    const bytes = archive(
      { name: "a", content: "x".repeat(700) },
      { name: "b", pax: [["mtime", "1.5"]], content: "y" },
    );
    const entriesEnd = bytes.length - 1024;
    for (let length = 0; length < entriesEnd; length += 64) {
      if (length === 0 || length === 512 + 1024) continue;
      assert.throws(() => read(bytes.subarray(0, length)), invalid(/ends within an entry/), `cut at ${length}`);
    }
    assert.equal(read(bytes.subarray(0, entriesEnd)).length, 2);
  });

  test("a changed byte in a header is refused by its checksum", () => {
    const bytes = archive({ name: "a" });
    for (const at of [0, 100, 107, 130, 156, 265, 400]) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1;
      assert.throws(() => read(changed), invalid(/checksum/, 0), `byte ${at}`);
    }
  });

  test("text in place of an archive is refused", () => {
    assert.throws(() => read(Buffer.from("not a tar at all".repeat(64))), invalid(/checksum/, 0));
  });

  test("an empty archive has no entries, with or without its end mark", () => {
    assert.deepEqual(read(Buffer.alloc(0)), []);
    assert.deepEqual(read(Buffer.alloc(512)), []);
    assert.deepEqual(read(Buffer.alloc(10_240)), []);
  });

  test("what follows the end mark is not read as entries", () => {
    assert.deepEqual(
      read(Buffer.concat([archive({ name: "a" }), archive({ name: "b" })])).map(({ name }) => name),
      ["a"],
    );
  });

  test("a single block of zeros between entries is refused", () => {
    assert.throws(
      () => read(Buffer.concat([member({ name: "a" }), Buffer.alloc(512), member({ name: "b" })])),
      invalid(/zeros/, 1024),
    );
  });

  test("extended records override the header, byte for byte", () => {
    const value = Buffer.from([0, 0x3d, 0x0a, 0xff]);
    const entry = readOne(
      archive({
        name: "short",
        content: "12345",
        pax: [
          ["path", "\xff\xfe/n\xe4me"],
          ["uid", "4294967294"],
          ["gid", "70000"],
          ["mtime", "-1.5"],
          ["atime", "1700000000.1234567899"],
          ["SCHILY.xattr.user.a=b", "ignored key"],
          ["SCHILY.xattr.user.bin", value],
          ["comment", "nothing"],
        ],
      }),
    );
    assert.deepEqual(
      [entry.name, entry.uid, entry.gid, entry.mtime, entry.atime],
      ["\xff\xfe/n\xe4me", 4294967294, 70000, -1_500_000_000n, 1_700_000_000_123_456_789n],
    );
    assert.deepEqual(entry.xattrs.at(-1), ["user.bin", value]);
    assert.equal(entry.offset, 0);
  });

  test("extended records hold for one entry only, and global ones for none", () => {
    const global = member({
      name: "pax_global_header",
      flag: "g",
      content: paxPayload([
        ["comment", "abc"],
        ["path", "everywhere"],
      ]),
    });
    const bytes = Buffer.concat([global, archive({ name: "a", pax: [["path", "b"]] }, { name: "c" })]);
    assert.deepEqual(
      read(bytes).map(({ name }) => name),
      ["b", "c"],
    );
  });

  test("a size beyond what octal holds is read from records and from binary numbers", () => {
    const size = 2 ** 40 + 7;
    const reader = (bytes: Buffer) => {
      let seen: TarEntry | undefined;
      new TarReader({ entry: (entry) => (seen = entry), content() {}, entryEnd() {} }).push(bytes);
      return seen!.size;
    };
    assert.equal(reader(member({ name: "a", size: 0, pax: [["size", String(size)]] })), size);
    const block = member({ name: "a" });
    block.fill(0, 124, 136);
    block[124] = 0x80;
    block.writeBigUInt64BE(BigInt(size), 128);
    sum(block);
    assert.equal(reader(block), size);
  });

  test("a negative owner is the unsigned number that chown takes", () => {
    const block = member({ name: "a" });
    block.fill(0xff, 108, 116);
    block[115] = 0xfe;
    sum(block);
    assert.equal(readOne(block).uid, 4294967294);
  });

  test("only files have content, whatever another type states", () => {
    for (const flag of ["1", "2", "3", "4", "5", "6"]) {
      const entries = read(archive({ name: "a", flag, size: 5000, linkName: "t" }, { name: "b" }));
      assert.deepEqual(
        entries.map(({ name, size }) => [name, size]),
        [
          ["a", 0],
          ["b", 0],
        ],
      );
    }
  });

  test("the oldest archives' directories end in a slash", () => {
    assert.equal(readOne(archive({ name: "d/", flag: "\0" })).type, "directory");
    assert.equal(readOne(archive({ name: "d", flag: "\0" })).type, "file");
  });

  const refused: [what: string, bytes: Buffer, fault: RegExp][] = [
    ["an unknown type", member({ name: "a", flag: "V" }), /type "V" is not supported/],
    ["a sparse file of GNU's old kind", member({ name: "a", flag: "S" }), /sparse/],
    ["a sparse file in records", member({ name: "a", pax: [["GNU.sparse.major", "1"]] }), /sparse/],
    ["a name with a NUL in records", member({ name: "a", pax: [["path", "a\0b"]] }), /NUL/],
    [
      "a record without a key",
      Buffer.concat([member({ name: "x", flag: "x", content: "5 =a\n" }), member({ name: "a" })]),
      /no key/,
    ],
    [
      "a record longer than its header",
      Buffer.concat([member({ name: "x", flag: "x", content: "99 a=b\n" }), member({ name: "a" })]),
      /wrong length/,
    ],
    [
      "a record of length zero",
      Buffer.concat([member({ name: "x", flag: "x", content: "0 a=b\n" }), member({ name: "a" })]),
      /wrong length/,
    ],
    ["a negative size in records", member({ name: "a", pax: [["size", "-1"]] }), /size is negative/],
    ["an owner of more than 32 bits", member({ name: "a", pax: [["uid", "4294967296"]] }), /uid is out of range/],
    [
      "an extended header of more than a megabyte",
      member({ name: "x", flag: "x", size: 1024 * 1024 + 1 }),
      /extended header of/,
    ],
  ];
  for (const [what, bytes, fault] of refused) {
    test(`${what} is refused`, () =>
      assert.throws(() => read(Buffer.concat([bytes, Buffer.alloc(1024)])), invalid(fault, 0)));
  }

  test("what Python's tarfile writes in each format is read back as it was", () => {
    const text = fc.string({
      unit: fc
        .integer({ min: 1, max: 255 })
        .filter((code) => code !== 0x2f)
        .map((code) => String.fromCharCode(code)),
      minLength: 1,
      maxLength: 130,
    });
    const entry = fc.record({
      name: fc.array(text, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/")),
      link: text,
      type: fc.constantFrom("0", "1", "2", "3", "4", "5", "6"),
      mode: fc.integer({ min: 0, max: 0o7777 }),
      uid: fc.oneof(fc.nat(0o777777), fc.integer({ min: 0o10000000, max: 0xfffffffe })),
      mtime: fc.integer({ min: 0, max: 2 ** 40 }),
      content: fc.uint8Array({ maxLength: 1200 }),
    });
    const script = `
import json, sys, tarfile, io
members, form = json.load(sys.stdin)
out = io.BytesIO()
with tarfile.open(fileobj=out, mode="w", format=form, encoding="latin-1") as t:
    for m in members:
        i = tarfile.TarInfo(m["name"])
        i.type, i.linkname, i.mode, i.uid, i.gid, i.mtime = m["type"].encode(), m["link"], m["mode"], m["uid"], 5, m["mtime"]
        if m["type"] in "34": i.devmajor, i.devminor = 7, 8
        data = bytes(m["content"]) if m["type"] == "0" else b""
        i.size = len(data)
        if form == tarfile.PAX_FORMAT: i.pax_headers = {"hdrcharset": "BINARY"}
        t.addfile(i, io.BytesIO(data))
sys.stdout.buffer.write(out.getvalue())
`;
    fc.assert(
      fc.property(fc.array(entry, { minLength: 1, maxLength: 12 }), fc.constantFrom(1, 2), (members, format) => {
        const input = JSON.stringify([members.map((made) => ({ ...made, content: [...made.content] })), format]);
        const bytes = execFileSync("python3", ["-c", script], { input, maxBuffer: 64 * 1024 * 1024 });
        const entries = read(bytes);
        assert.equal(entries.length, members.length);
        for (const [index, made] of members.entries()) {
          const got = entries[index]!;
          // Python writes the records of its pax format as UTF-8 and the header's fields as asked.
          const bytesOf = (value: string) =>
            format === 2 && got.name !== made.name ? Buffer.from(value).toString("latin1") : value;
          const isLink = made.type === "1" || made.type === "2";
          assert.deepEqual(
            [got.name.replace(/\/$/, ""), got.mode, got.uid, got.gid, got.mtime, got.content],
            [
              bytesOf(made.name),
              made.mode,
              made.uid,
              5,
              BigInt(made.mtime) * 1_000_000_000n,
              made.type === "0" ? Buffer.from(made.content) : Buffer.alloc(0),
            ],
          );
          if (isLink) assert.ok([made.link, Buffer.from(made.link).toString("latin1")].includes(got.linkName));
          if (made.type === "3" || made.type === "4") assert.deepEqual(got.device, [7, 8]);
        }
      }),
      { numRuns: 20 },
    );
  });
});
