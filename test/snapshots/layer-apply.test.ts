import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { getXattr, mount, setXattr, unmount } from "../../src/platform/mod.ts";
import { applyLayerHere } from "../../src/snapshots/layer-apply.ts";
import type { LayerTarget } from "../../src/snapshots/layer-writer.ts";
import { LayerInvalid, LayerWriteFailed, MediaTypeUnsupported } from "../../src/snapshots/mod.ts";
import { archive, type Member, member } from "./tar-builder.ts";
import { listTree } from "./tree-listing.ts";

const plain = "application/vnd.oci.image.layer.v1.tar";
const sha256 = (bytes: Buffer) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

describe("applying a layer", () => {
  let work: string;
  let root: string;
  const at = (...names: string[]) => join(root, ...names);
  beforeEach(() => {
    work = mkdtempSync(join(tmpdir(), "shiplog-apply-"));
    root = join(work, "root");
    mkdirSync(root);
  });
  afterEach(() => rmSync(work, { recursive: true }));

  async function apply(bytes: Buffer, target: Partial<LayerTarget> = {}, mediaType = plain, pieceBytes = 4096) {
    const source = async function* () {
      for (let offset = 0; offset < bytes.length; offset += pieceBytes)
        yield bytes.subarray(offset, offset + pieceBytes);
    };
    return applyLayerHere(source(), mediaType, { root, lowers: [], whiteouts: "delete", ...target }, () => {});
  }
  const applyMembers = (members: Member[], target: Partial<LayerTarget> = {}) => apply(archive(...members), target);

  describe("what is written", () => {
    test("a tree packed by GNU tar is the same tree again, to the nanosecond and the attribute", async () => {
      const source = join(work, "source");
      const script = `
        mkdir -p source/dir/deep source/empty; cd source; chmod 1777 dir; chmod 2750 dir/deep; chown 1000:70000 dir/deep
        head -c 300000 /dev/urandom > dir/big; : > dir/none; ln dir/big dir/deep/again; ln -s ../none dir/deep/sym; ln -s /nowhere dangling
        cp dir/none suid; chown 12:34 suid; chmod 6755 suid; mkfifo -m 640 fifo; mknod -m 600 char c 1 3; mknod -m 660 block b 253 70000
        printf x > "$(printf 'caf\\351 \\377\\n')"; printf y > $(printf 'n%.0s' $(seq 200)); mkdir -p $(printf 'd%.0s/' $(seq 90)); : > $(printf 'd%.0s/' $(seq 90))leaf
        chown -h 5:6 dangling; touch -h -d '2001-02-03 04:05:06.789012345' dangling; touch -d '1971-01-01 00:00:00.000000001' dir/none
        touch -d '2100-05-06 07:08:09.987654321' empty; touch -d '2003-03-03 03:03:03.3' dir dir/deep .`;
      execFileSync("bash", ["-ec", script], { cwd: work });
      setXattr(
        join(source, "suid"),
        "security.capability",
        Buffer.from("0100000200200000000000000000000000000000", "hex"),
      );
      setXattr(join(source, "dir"), "user.binary", Buffer.from([0, 255, 61, 10]));
      const bytes = execFileSync(
        "tar",
        ["--xattrs", "--xattrs-include=*", "--numeric-owner", "--format=posix", "-C", source, "-cf", "-", "."],
        { maxBuffer: 1 << 26 },
      );
      const applied = await apply(bytes);
      assert.deepEqual(applied, { mediaType: plain, size: bytes.length, digest: sha256(bytes) });
      assert.deepEqual(listTree(root, { withoutTimes: ["."] }), listTree(source, { withoutTimes: ["."] }));
    });

    test("the same tree comes out of GNU's own format", async () => {
      const source = join(work, "source");
      mkdirSync(source);
      execFileSync(
        "bash",
        [
          "-ec",
          "mkdir -p $(printf 'd%.0s/' $(seq 80)); ln -s $(printf 't%.0s' $(seq 150)) sym; : > $(printf 'n%.0s' $(seq 180)); touch -d '2005-05-05 05:05:05' . d",
        ],
        { cwd: source },
      );
      const bytes = execFileSync("tar", ["--format=gnu", "--numeric-owner", "-C", source, "-cf", "-", "."], {
        maxBuffer: 1 << 26,
      });
      await apply(bytes, {}, plain, 7);
      const paths = listTree(source).map((line) => line.slice(0, line.indexOf(" ")));
      assert.deepEqual(listTree(root, { withoutTimes: paths }), listTree(source, { withoutTimes: paths }));
      assert.equal(statSync(at("d")).mtimeMs, Date.parse("2005-05-05T05:05:05"));
    });

    test("the modes do not depend on the umask", async () => {
      const before = process.umask(0o077);
      try {
        await applyMembers([
          { name: "a/b", mode: 0o666 },
          { name: "f", flag: "6", mode: 0o666 },
          { name: "d", flag: "5", mode: 0o777 },
        ]);
      } finally {
        process.umask(before);
      }
      assert.deepEqual(
        ["a", "a/b", "f", "d"].map((name) => statSync(at(name)).mode & 0o7777),
        [0o755, 0o666, 0o666, 0o777],
      );
    });

    test("an entry takes the place of whatever is there, but a directory joins a directory", async () => {
      mkdirSync(at("dir", "inner"), { recursive: true });
      mkdirSync(at("was-dir", "inner"), { recursive: true });
      writeFileSync(at("was-file"), "old");
      writeFileSync(at("target"), "kept");
      symlinkSync("target", at("was-link"));
      await applyMembers([
        { name: "dir", flag: "5", mode: 0o700 },
        { name: "was-dir", content: "new" },
        { name: "was-file/", flag: "5" },
        { name: "was-link", content: "new" },
      ]);
      assert.deepEqual([readdirSync(at("dir")), statSync(at("dir")).mode & 0o777], [["inner"], 0o700]);
      assert.equal(readFileSync(at("was-dir"), "utf8"), "new");
      assert.ok(statSync(at("was-file")).isDirectory());
      assert.deepEqual([readFileSync(at("was-link"), "utf8"), readFileSync(at("target"), "utf8")], ["new", "kept"]);
    });

    test("the root itself is left as it is", async () => {
      const before = listTree(root);
      await applyMembers([
        { name: "./", flag: "5", mode: 0o700, uid: 7 },
        { name: "/", flag: "5" },
        { name: "..", flag: "5" },
        { name: "" },
      ]);
      assert.deepEqual(listTree(root), before);
    });

    test("a hard link is to the very file named, also when that is a symbolic link", async () => {
      await applyMembers([
        { name: "file", content: "x" },
        { name: "sym", flag: "2", linkName: "file" },
        { name: "hard", flag: "1", linkName: "sym", mode: 0o777 },
        { name: "again", flag: "1", linkName: "./file", mode: 0o4711 },
      ]);
      assert.equal(readlinkSync(at("hard")), "file");
      assert.deepEqual([statSync(at("file")).nlink, statSync(at("file")).mode & 0o7777], [2, 0o4711]);
    });

    test("attributes of class trusted are not an archive's to set, and those that cannot be held are left out", async () => {
      await applyMembers([
        {
          name: "a",
          pax: [
            ["SCHILY.xattr.trusted.overlay.opaque", "y"],
            ["SCHILY.xattr.user.kept", "1"],
            ["SCHILY.xattr.nosuch.class", "1"],
          ],
        },
        { name: "s", flag: "2", linkName: "a", pax: [["SCHILY.xattr.user.never", "1"]] },
      ]);
      assert.match(listTree(root).find((line) => line.startsWith("./a "))!, /[^ ]* user.kept=31$/);
      assert.equal(getXattr(at("a"), "trusted.overlay.opaque"), undefined);
    });

    test("times that no file system holds become 1970", async () => {
      await applyMembers([
        { name: "a", pax: [["mtime", "-5"]] },
        { name: "b", pax: [["mtime", "9223372037"]] },
      ]);
      assert.deepEqual([lstatSync(at("a")).mtimeMs, lstatSync(at("b")).mtimeMs], [0, 0]);
    });

    test("thousands of directories need few open descriptors", async () => {
      const members = Array.from({ length: 3000 }, (_, index) => ({
        name: `d${index % 300}/e${index}/f`,
        content: "x",
      }));
      const before = readdirSync("/proc/self/fd").length;
      await applyMembers(members);
      assert.equal(readdirSync("/proc/self/fd").length, before);
      assert.equal(readdirSync(at("d7")).length, 10);
    });
  });

  describe("deletions", () => {
    /** A base, and the layer on it applied both ways: what overlayfs shows must be what deleting gives. */
    async function bothWays(base: Member[], layer: Member[]): Promise<string[]> {
      const [lower, upper, workdir, merged] = ["lower", "upper", "workdir", "merged"].map((name) =>
        join(work, name),
      ) as [string, string, string, string];
      for (const directory of [lower, upper, workdir, merged]) mkdirSync(directory);
      await applyMembers(base, { root: lower });
      await applyMembers(base);
      await applyMembers(layer, { root: upper, lowers: [lower], whiteouts: "mark" });
      await applyMembers(layer);
      mount(
        {
          type: "overlay",
          source: "overlay",
          options: ["index=off", `lowerdir=${lower}`, `upperdir=${upper}`, `workdir=${workdir}`],
        },
        merged,
      );
      try {
        const names = (tree: string) =>
          listTree(tree, { withoutXattrs: true }).map((line) => line.replace(/ mtime=\d+/, ""));
        assert.deepEqual(names(merged), names(root));
        return execFileSync("find", [".", "-mindepth", "1"], { cwd: merged, encoding: "utf8" })
          .split("\n")
          .filter(Boolean)
          .map((name) => name.slice(2))
          .sort();
      } finally {
        await unmount(merged);
      }
    }
    const base: Member[] = [
      { name: "d/", flag: "5", mode: 0o750, uid: 3 },
      { name: "d/a", content: "a" },
      { name: "d/sub/b", content: "b" },
      { name: "d/sub/c", content: "c" },
      { name: "top", content: "t" },
    ];

    test("a whiteout hides a file, a tree, and nothing when nothing is there", async () => {
      assert.deepEqual(await bothWays(base, [{ name: "d/.wh.sub" }, { name: ".wh.top" }, { name: ".wh.absent" }]), [
        "d",
        "d/a",
      ]);
    });

    test("an opaque directory keeps what the layer brings, before the mark and after it", async () => {
      const layer = [
        { name: "d/early", content: "1" },
        { name: "d/sub/new", content: "2" },
        { name: "d/.wh..wh..opq" },
        { name: "d/late" },
      ];
      assert.deepEqual(await bothWays(base, layer), ["d", "d/early", "d/late", "d/sub", "d/sub/new", "top"]);
    });

    test("a directory that is hidden and brought anew shows nothing of before, in either order", async () => {
      assert.deepEqual(
        await bothWays(base, [{ name: "d/.wh.sub" }, { name: "d/sub/", flag: "5" }, { name: "d/sub/new" }]),
        ["d", "d/a", "d/sub", "d/sub/new", "top"],
      );
    });

    test("a directory brought and then hidden shows nothing of before", async () => {
      assert.deepEqual(
        await bothWays(base, [{ name: "d/sub/", flag: "5" }, { name: "d/sub/new" }, { name: "d/.wh.sub" }]),
        ["d", "d/a", "d/sub", "d/sub/new", "top"],
      );
    });

    test("a file of the layer stays though the layer hides its name too", async () => {
      assert.deepEqual(
        await bothWays(base, [
          { name: "top", content: "new" },
          { name: ".wh.top" },
          { name: "d/.wh.a" },
          { name: "d/a", content: "new" },
        ]),
        ["d", "d/a", "d/sub", "d/sub/b", "d/sub/c", "top"],
      );
    });

    test("a file in place of a directory hides all of it", async () => {
      assert.deepEqual(await bothWays(base, [{ name: "d", content: "file" }]), ["d", "top"]);
    });

    test("in an upper directory a whiteout is a device 0:0 and an opaque directory an attribute", async () => {
      const lower = join(work, "lower");
      mkdirSync(lower);
      await applyMembers(base, { root: lower });
      setXattr(join(lower, "d"), "user.kept", Buffer.from("1"));
      await applyMembers([{ name: "d/.wh.a", uid: 5, gid: 6 }, { name: "d/sub/.wh..wh..opq" }], {
        lowers: [lower],
        whiteouts: "mark",
      });
      const status = lstatSync(at("d", "a"));
      assert.deepEqual([status.isCharacterDevice(), status.rdev, status.uid, status.gid], [true, 0, 5, 6]);
      assert.equal(getXattr(at("d", "sub"), "trusted.overlay.opaque")?.toString(), "y");
      // A directory that no entry names is made as the lower layer has it.
      assert.deepEqual(
        listTree(root).find((line) => line.startsWith("./d ")),
        listTree(lower).find((line) => line.startsWith("./d ")),
      );
    });

    test("a lower directory is found through the lower layer's own links and never outside of it", async () => {
      const lower = join(work, "lower");
      mkdirSync(join(lower, "real"), { recursive: true, mode: 0o700 });
      symlinkSync("/real", join(lower, "link"));
      mkdirSync(join(work, "private"), { mode: 0o700 });
      symlinkSync(join(work, "private"), join(lower, "out"));
      await applyMembers([{ name: "link/f" }, { name: "out/f" }], { lowers: [lower], whiteouts: "mark" });
      assert.deepEqual([statSync(at("link")).mode & 0o777, statSync(at("out")).mode & 0o777], [0o700, 0o755]);
    });

    test("names that other tools reserve are passed over", async () => {
      await applyMembers([
        { name: ".wh..wh.aufs" },
        { name: ".wh..wh.plnk/", flag: "5" },
        { name: ".wh..wh.plnk/1.2", content: "x" },
      ]);
      assert.deepEqual(readdirSync(root), []);
    });

    for (const name of [".wh.", ".wh..", ".wh...", "d/.wh.."]) {
      test(`a whiteout that would hide no name is refused: ${name}`, async () => {
        await assert.rejects(
          applyMembers([{ name }]),
          (thrown: unknown) => thrown instanceof LayerInvalid && /hides no name/.test(thrown.message),
        );
      });
    }
  });

  describe("a hostile archive", () => {
    const outside = () => join(work, "outside");
    beforeEach(() => {
      mkdirSync(outside());
      writeFileSync(join(outside(), "secret"), "secret");
    });
    /** Nothing outside the root may have changed, whether the layer was refused or landed inside. */
    async function confined(members: Member[], target: Partial<LayerTarget> = {}): Promise<void> {
      const before = listTree(outside());
      const beside = readdirSync(work);
      await applyMembers(members, target).catch((thrown: unknown) =>
        assert.ok(thrown instanceof LayerWriteFailed || thrown instanceof LayerInvalid, String(thrown)),
      );
      assert.deepEqual(listTree(outside()), before);
      assert.deepEqual(readdirSync(work), beside);
    }

    test("lands inside when it climbs with ..", async () => {
      await confined([
        { name: "../outside/secret", content: "x" },
        { name: "a/../../../outside/new", content: "x" },
      ]);
      assert.equal(readFileSync(at("outside", "secret"), "utf8"), "x");
    });

    test("lands inside when its names are absolute", async () => {
      await confined([{ name: join(outside(), "secret"), content: "x" }]);
      assert.equal(readFileSync(at(outside(), "secret"), "utf8"), "x");
    });

    // No target may ever be a directory that matters: a fault here runs as root and deletes.
    const targets: [what: string, target: () => string][] = [
      ["a parent", () => "../outside"],
      ["a parent of the root", () => "/../outside"],
      ["an absolute path", () => outside()],
      ["an absolute path after climbing", () => `../../../../../../../../../..${outside()}`],
    ];
    for (const [what, path] of targets) {
      test(`lands inside when it plants a link to ${what} and writes through it`, async () => {
        const target = path();
        await confined([
          { name: "link", flag: "2", linkName: target },
          { name: "link/secret", content: "x" },
          { name: "link/sub/deep/", flag: "5" },
          { name: "link/.wh.secret" },
          { name: "link/.wh..wh..opq" },
        ]);
        assert.equal(readlinkSync(at("link")), target);
      });
      test(`lands inside when the link to ${what} was there before it`, async () => {
        symlinkSync(path(), at("link"));
        await confined(
          [{ name: "link/secret", content: "x" }, { name: "link/.wh.secret" }, { name: "link/.wh..wh..opq" }],
          { whiteouts: "mark" },
        );
      });
    }

    test("does not write through a link in the last name", async () => {
      symlinkSync(join(outside(), "secret"), at("file"));
      await confined([{ name: "file", content: "x" }]);
      assert.ok(lstatSync(at("file")).isFile());
    });

    test("does not change the mode, owner or times of a link's target", async () => {
      await confined([
        { name: "file", flag: "2", linkName: join(outside(), "secret"), mode: 0o777, uid: 99, mtime: 5 },
        { name: "hard", flag: "1", linkName: "file", mode: 0o777, uid: 99, mtime: 5 },
      ]);
    });

    test("swaps a directory for a link and stays inside", async () => {
      await confined([
        { name: "d/", flag: "5" },
        { name: "d/x", content: "1" },
        { name: "d", flag: "2", linkName: outside() },
        { name: "d/secret", content: "x" },
        { name: "d/", flag: "5", mode: 0o777, mtime: 7 },
      ]);
    });

    test("swaps a directory that is open for a link, and goes where the link leads now", async () => {
      await confined([
        { name: "d/x" },
        { name: "other/", flag: "5" },
        { name: "d", flag: "2", linkName: "/other" },
        { name: "d/f", content: "x" },
      ]);
      assert.deepEqual(readdirSync(at("other")), ["f"]);
    });

    test("hides a directory that is open, puts a link there, and goes where the link leads now", async () => {
      mkdirSync(at("d"));
      mkdirSync(at("other"));
      await confined([
        { name: "d/.wh.x" },
        { name: ".wh.d" },
        { name: "d", flag: "2", linkName: "/other" },
        { name: "d/f", content: "x" },
      ]);
      assert.deepEqual(readdirSync(at("other")), ["f"]);
    });

    test("cannot set times outside by replacing a directory with a link at the end", async () => {
      await confined([
        { name: "d/", flag: "5", mtime: 5 },
        { name: "d", flag: "2", linkName: outside() },
      ]);
      assert.equal(lstatSync(at("d")).mtimeMs, 1_600_000_000_000);
    });

    for (const linkName of ["../outside/secret", "a/../../outside/secret", "link/secret", "", "..", "."]) {
      test(`cannot hard-link what lies outside: '${linkName}'`, async () => {
        await confined([
          { name: "link", flag: "2", linkName: outside() },
          { name: "stolen", flag: "1", linkName },
        ]);
        assert.equal(existsSync(at("stolen")), false);
      });
    }

    test("cannot open a device that it made itself", async () => {
      await confined([
        { name: "null", flag: "3", device: [1, 3] },
        { name: "null", content: "x" },
      ]);
      assert.ok(lstatSync(at("null")).isFile());
    });

    test("cannot use a name with a NUL to mean another", async () => {
      await confined([{ name: "x", content: "x", pax: [["path", "a\0/../../outside/secret"]] }]);
      assert.deepEqual(readdirSync(root), []);
    });

    test("cannot go round in links for ever", async () => {
      await assert.rejects(
        applyMembers([
          { name: "a", flag: "2", linkName: "b" },
          { name: "b", flag: "2", linkName: "a" },
          { name: "a/x" },
        ]),
        { name: "LayerWriteFailed", code: "ELOOP" },
      );
    });

    test("makes the missing target of a dangling link inside", async () => {
      await confined([
        { name: "a/b/link", flag: "2", linkName: "/../made/../made/here" },
        { name: "a/b/link/f", content: "x" },
      ]);
      assert.equal(readFileSync(at("made", "here", "f"), "utf8"), "x");
    });
  });

  describe("failures", () => {
    test("a failing entry is named with its place, the kernel's code and cause", async () => {
      const failing = applyMembers([{ name: "file" }, { name: "file/below" }]);
      await assert.rejects(failing, (thrown: unknown) => {
        assert.ok(thrown instanceof LayerWriteFailed);
        assert.deepEqual([thrown.code, thrown.offset], ["ENOTDIR", 512]);
        assert.match(thrown.message, /entry 'file\/below' at byte 512: ENOTDIR/);
        assert.equal((thrown.cause as Error & { code: string }).code, "ENOTDIR");
        return true;
      });
    });

    test("no descriptor stays open when the archive breaks off in the middle of a file", async () => {
      const before = readdirSync("/proc/self/fd").length;
      await assert.rejects(apply(member({ name: "d/a", content: "x".repeat(5000) }).subarray(0, 3000)), LayerInvalid);
      assert.equal(readdirSync("/proc/self/fd").length, before);
    });
  });

  describe("media types", () => {
    const bytes = archive({ name: "a", content: "content" });
    const gzip = gzipSync(bytes);
    const zstd = zstdCompressSync(bytes);
    const skippable = Buffer.concat([Buffer.from("532a4d1804000000", "hex"), Buffer.from("skip")]);
    const read: [mediaType: string, blob: Buffer][] = [
      ["application/vnd.docker.image.rootfs.diff.tar.gzip", gzip],
      ["application/vnd.docker.image.rootfs.diff.tar", gzip],
      ["application/vnd.docker.image.rootfs.diff.tar", bytes],
      ["application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", zstd],
      [`${plain}+gzip`, gzip],
      [`${plain}+gzip`, zstd],
      [`${plain}+gzip`, bytes],
      [`${plain}+gzip`, Buffer.concat([gzipSync(bytes.subarray(0, 700)), gzipSync(bytes.subarray(700))])],
      [`${plain}+zstd`, zstd],
      [
        `${plain}+zstd`,
        Buffer.concat([
          skippable,
          zstdCompressSync(bytes.subarray(0, 700)),
          skippable,
          zstdCompressSync(bytes.subarray(700)),
          skippable,
        ]),
      ],
      ["application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", gzip],
      [plain, bytes],
    ];
    for (const [index, [mediaType, blob]] of read.entries()) {
      test(`${mediaType} is read, case ${index}`, async () => {
        for (const pieceBytes of [1, 1 << 20]) {
          const applied = await apply(blob, {}, mediaType, pieceBytes);
          assert.deepEqual(applied, { mediaType: plain, size: bytes.length, digest: sha256(bytes) });
          assert.equal(readFileSync(at("a"), "utf8"), "content");
        }
      });
    }

    test("an empty blob of a compressed type is an empty layer", async () => {
      assert.equal((await apply(Buffer.alloc(0), {}, `${plain}+gzip`)).size, 0);
    });

    for (const mediaType of [
      "",
      "application/octet-stream",
      `${plain}+encrypted`,
      `${plain}+gzip+encrypted`,
      "application/vnd.docker.image.rootfs.diff.tar.gzip+x",
    ]) {
      test(`${mediaType || "no media type"} is refused by name`, async () => {
        await assert.rejects(
          apply(bytes, {}, mediaType),
          (thrown: unknown) => thrown instanceof MediaTypeUnsupported && thrown.mediaType === mediaType,
        );
      });
    }

    const damaged: [what: string, blob: Buffer][] = [
      ["gzip cut short", gzip.subarray(0, gzip.length - 20)],
      ["gzip without its checksum", gzip.subarray(0, gzip.length - 8)],
      ["gzip with a wrong checksum", Buffer.from(gzip).fill(1, gzip.length - 8)],
      ["zstd cut short", zstd.subarray(0, zstd.length - 20)],
      ["zstd cut by one byte", zstd.subarray(0, zstd.length - 1)],
      ["neither compressed nor tar", Buffer.alloc(2048, "garbage")],
    ];
    for (const [what, blob] of damaged) {
      test(`${what} is an invalid layer`, async () => {
        await assert.rejects(apply(blob, {}, `${plain}+gzip`), LayerInvalid);
      });
    }

    test("the digest covers what follows the archive's end", async () => {
      const padded = Buffer.concat([bytes, Buffer.alloc(9000), Buffer.from("trailer")]);
      assert.deepEqual(await apply(padded), { mediaType: plain, size: padded.length, digest: sha256(padded) });
    });

    test("a source's own failure comes out as it is", async () => {
      const source = async function* () {
        yield gzip.subarray(0, 50);
        throw new Error("connection lost");
      };
      await assert.rejects(
        applyLayerHere(source(), `${plain}+gzip`, { root, lowers: [], whiteouts: "delete" }, () => {}),
        /connection lost/,
      );
    });
  });
});
