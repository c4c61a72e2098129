/**
 * What every snapshotter must do, tested through real mounts. Call it with a way to open one; each test gets a root of its own.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, beforeEach, describe, test } from "node:test";
import { getXattr, mountAll, type OperationHook, setXattr, unmountAll } from "../../src/platform/mod.ts";
import {
  type SnapshotKind,
  type LocalSnapshotter,
  type SnapshotterOptions,
  SnapshotWorkers,
} from "../../src/snapshots/mod.ts";

export function snapshotterSuite(name: string, open: (options: SnapshotterOptions) => Promise<LocalSnapshotter>): void {
  describe(`snapshotter ${name}`, () => {
    const workers = new SnapshotWorkers(1);
    let work: string;
    let snapshotter: LocalSnapshotter;
    let hook: OperationHook;
    beforeEach(async () => {
      work = mkdtempSync(join(tmpdir(), "shiplog-snapshotter-"));
      hook = () => {};
      snapshotter = await open({ root: join(work, "root"), workers, hook: (operation) => hook(operation) });
    });
    afterEach(() => rmSync(work, { recursive: true }));
    after(() => workers.close());

    /** Mounts a snapshot for as long as `use` runs. */
    async function within<T>(
      id: string,
      kind: SnapshotKind,
      parents: readonly string[],
      use: (directory: string) => T,
    ): Promise<T> {
      const target = mkdtempSync(join(work, "mounted-"));
      await mountAll(snapshotter.mounts(id, kind, parents), target);
      try {
        return use(target);
      } finally {
        await unmountAll(target);
      }
    }

    /** Makes a snapshot, changes it, and leaves it as a committed one is. */
    async function layer(
      id: string,
      parents: readonly string[],
      change: (directory: string) => void,
    ): Promise<string[]> {
      await snapshotter.create(id, "active", parents);
      await within(id, "active", parents, change);
      await snapshotter.sync(id);
      return [id, ...parents];
    }

    test("is named as clients name it and owns its root", () => {
      assert.equal(snapshotter.name, name);
      assert.equal(snapshotter.root, join(work, "root"));
    });

    test("an empty base is a directory of mode 0755 that can be written", async () => {
      await layer("base", [], (directory) => {
        assert.deepEqual(readdirSync(directory), []);
        assert.equal(statSync(directory).mode & 0o7777, 0o755);
        writeFileSync(join(directory, "file"), "content");
      });
      assert.equal(
        await within("base", "active", [], (directory) => readFileSync(join(directory, "file"), "utf8")),
        "content",
      );
    });

    test("a chain shows each layer on the ones below, deletions included", async () => {
      const one = await layer("one", [], (directory) => {
        mkdirSync(join(directory, "d", "sub"), { recursive: true });
        for (const file of ["keep", "change", "remove", "d/a", "d/sub/b"]) writeFileSync(join(directory, file), "1");
      });
      const two = await layer("two", one, (directory) => {
        writeFileSync(join(directory, "change"), "2");
        rmSync(join(directory, "remove"));
        rmSync(join(directory, "d"), { recursive: true });
        mkdirSync(join(directory, "d"));
        writeFileSync(join(directory, "d", "new"), "2");
      });
      const three = await layer("three", two, (directory) => writeFileSync(join(directory, "remove"), "3"));
      const shown = (id: string, kind: SnapshotKind, parents: readonly string[]) =>
        within(id, kind, parents, (directory) =>
          Object.fromEntries(
            execFileSync("find", [".", "-type", "f"], { cwd: directory, encoding: "utf8" })
              .trim()
              .split("\n")
              .sort()
              .map((file) => [file, readFileSync(join(directory, file), "utf8")]),
          ),
        );
      await snapshotter.create("v1", "view", one);
      await snapshotter.create("v2", "view", two);
      await snapshotter.create("v3", "view", three);
      assert.deepEqual(await shown("v1", "view", one), {
        "./change": "1",
        "./d/a": "1",
        "./d/sub/b": "1",
        "./keep": "1",
        "./remove": "1",
      });
      assert.deepEqual(await shown("v2", "view", two), { "./change": "2", "./d/new": "2", "./keep": "1" });
      assert.deepEqual(await shown("v3", "view", three), {
        "./change": "2",
        "./d/new": "2",
        "./keep": "1",
        "./remove": "3",
      });
    });

    test("a view cannot be written", async () => {
      const base = await layer("base", [], (directory) => writeFileSync(join(directory, "file"), ""));
      const two = await layer("two", base, (directory) => writeFileSync(join(directory, "other"), ""));
      for (const [id, parents] of [
        ["v0", []],
        ["v1", base],
        ["v2", two],
      ] as const) {
        await snapshotter.create(id, "view", parents);
        await within(id, "view", parents, (directory) =>
          assert.throws(() => writeFileSync(join(directory, "new"), ""), { code: "EROFS" }, id),
        );
      }
    });

    test("children of one parent do not see each other, and the parent sees neither", async () => {
      const base = await layer("base", [], (directory) => writeFileSync(join(directory, "file"), "base"));
      await layer("left", base, (directory) => writeFileSync(join(directory, "file"), "left"));
      await layer("right", base, (directory) => writeFileSync(join(directory, "file"), "right"));
      const read = (id: string, kind: SnapshotKind, parents: readonly string[]) =>
        within(id, kind, parents, (directory) => readFileSync(join(directory, "file"), "utf8"));
      assert.deepEqual(
        [await read("left", "active", base), await read("right", "active", base), await read("v", "view", base)],
        ["left", "right", "base"],
      );
    });

    test("a child starts with everything that its parent's files are", async () => {
      const base = await layer("base", [], (directory) => {
        chownSync(directory, 1000, 2000);
        writeFileSync(join(directory, "file"), "x");
        linkSync(join(directory, "file"), join(directory, "hard"));
        chownSync(join(directory, "file"), 5, 6);
        chmodSync(join(directory, "file"), 0o6755);
        setXattr(
          join(directory, "file"),
          "security.capability",
          Buffer.from("0100000200200000000000000000000000000000", "hex"),
        );
        symlinkSync("file", join(directory, "sym"));
        execFileSync("mknod", [join(directory, "null"), "c", "1", "3"]);
      });
      await layer("child", base, (directory) => {
        assert.deepEqual([statSync(directory).uid, statSync(directory).gid], [1000, 2000]);
        const status = statSync(join(directory, "file"));
        assert.deepEqual([status.uid, status.gid, status.mode & 0o7777, status.nlink], [5, 6, 0o6755, 2]);
        assert.equal(getXattr(join(directory, "file"), "security.capability")?.length, 20);
        assert.ok(lstatSync(join(directory, "sym")).isSymbolicLink());
        assert.equal(statSync(join(directory, "null")).rdev, statSync("/dev/null").rdev);
      });
    });

    test("mounts answers the same without the directory, and after opening again", async () => {
      const cases = [
        ["a", "active", []],
        ["b", "active", ["a"]],
        ["c", "active", ["b", "a"]],
        ["v", "view", []],
        ["v", "view", ["a"]],
        ["v", "view", ["b", "a"]],
      ] as const;
      const again = await open({ root: join(work, "root"), workers });
      for (const [id, kind, parents] of cases)
        assert.deepEqual(again.mounts(id, kind, parents), snapshotter.mounts(id, kind, parents));
    });

    test("usage counts blocks and inodes, a file with two names once, a view not at all", async () => {
      const base = await layer("base", [], (directory) => {
        writeFileSync(join(directory, "file"), Buffer.alloc(100_000, "x"));
        linkSync(join(directory, "file"), join(directory, "hard"));
        mkdirSync(join(directory, "d"));
        symlinkSync("file", join(directory, "sym"));
      });
      const usage = await snapshotter.usage("base", "active", []);
      assert.equal(usage.inodes, 4);
      const blocks = await within("base", "active", [], (directory) =>
        ["", "file", "d", "sym"].reduce((sum, file) => sum + lstatSync(join(directory, file)).blocks * 512, 0),
      );
      assert.equal(usage.size, blocks);
      await snapshotter.create("v", "view", base);
      assert.deepEqual(await snapshotter.usage("v", "view", base), { size: 0, inodes: 0 });
    });

    test("list knows what has a directory, and remove makes it unknown however often", async () => {
      await layer("one", [], (directory) => mkdirSync(join(directory, "a", "b"), { recursive: true }));
      await layer("two", ["one"], (directory) => rmSync(join(directory, "a"), { recursive: true }));
      assert.deepEqual((await snapshotter.list()).sort(), ["one", "two"]);
      for (let count = 0; count < 2; count++) {
        await snapshotter.remove("two");
        assert.deepEqual(await snapshotter.list(), ["one"]);
        assert.equal(await snapshotter.exists("two", "active", ["one"]), false);
      }
      assert.equal(await snapshotter.exists("one", "active", []), true);
    });

    test("create repeated leaves what is there as it is", async () => {
      const base = await layer("base", [], (directory) => writeFileSync(join(directory, "file"), "kept"));
      await layer("child", base, (directory) => writeFileSync(join(directory, "own"), "kept"));
      await snapshotter.create("base", "active", []);
      await snapshotter.create("child", "active", base);
      assert.deepEqual(await within("child", "active", base, (directory) => readdirSync(directory).sort()), [
        "file",
        "own",
      ]);
    });

    test("create fails with ENOENT or the like when the parent is missing, and leaves only what list finds", async () => {
      await assert.rejects(snapshotter.create("child", "active", ["absent"]));
      for (const id of await snapshotter.list()) await snapshotter.remove(id);
      assert.deepEqual(await snapshotter.list(), []);
    });

    test("create cut short at any operation leaves only what list finds, and can be repeated", async () => {
      const base = await layer("base", [], (directory) => writeFileSync(join(directory, "file"), "x"));
      for (let failing = 1; ; failing++) {
        let operations = 0;
        hook = (operation) => {
          if (++operations === failing) throw new Error(`${operation} fails`);
        };
        const outcome = await snapshotter.create("child", "active", base).then(
          () => "made",
          () => "failed",
        );
        hook = () => {};
        if (outcome === "made") break;
        assert.ok((await snapshotter.list()).every((id) => id === "base" || id === "child"));
        await snapshotter.create("child", "active", base);
        assert.equal(await snapshotter.exists("child", "active", base), true);
        await within("child", "active", base, (directory) => assert.deepEqual(readdirSync(directory), ["file"]));
        await snapshotter.remove("child");
        assert.deepEqual(readdirSync(join(work, "root", "snapshots")), ["base"]);
      }
    });

    test("remove cut short at any operation is finished by another", async () => {
      for (let failing = 1; ; failing++) {
        await layer("doomed", [], (directory) => mkdirSync(join(directory, "a", "b"), { recursive: true }));
        let operations = 0;
        hook = (operation) => {
          if (++operations === failing) throw new Error(`${operation} fails`);
        };
        const outcome = await snapshotter.remove("doomed").then(
          () => "removed",
          () => "failed",
        );
        hook = () => {};
        if (outcome === "failed") await snapshotter.remove("doomed");
        assert.deepEqual(readdirSync(join(work, "root", "snapshots")), []);
        if (outcome === "removed") break;
      }
    });

    test("remove does not reach through a mount within, and goes on when it is gone", async () => {
      const precious = join(work, "precious");
      mkdirSync(precious);
      writeFileSync(join(precious, "file"), "kept");
      await layer("doomed", [], (directory) => mkdirSync(join(directory, "inner")));
      const [own] = snapshotter.mounts("doomed", "active", []);
      await mountAll([{ type: "bind", source: precious, options: ["rbind", "rw"] }], join(own!.source, "inner"));
      await assert.rejects(snapshotter.remove("doomed"), { code: "EXDEV" });
      assert.equal(readFileSync(join(precious, "file"), "utf8"), "kept");
      assert.deepEqual(await snapshotter.list(), ["doomed"]);
      const [left] = readdirSync(join(work, "root", "snapshots"));
      await unmountAll(join(own!.source.replace("/doomed", `/${left}`), "inner"));
      await snapshotter.remove("doomed");
      assert.deepEqual(await snapshotter.list(), []);
      assert.ok(existsSync(join(precious, "file")));
    });

    test("remove copes with names that are not UTF-8 and with links out", async () => {
      await layer("doomed", [], (directory) => {
        writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff, 0xfe])]), "x");
        symlinkSync(work, join(directory, "out"));
      });
      await snapshotter.remove("doomed");
      assert.ok(existsSync(work));
      assert.deepEqual(readdirSync(join(work, "root", "snapshots")), []);
    });

    test("what is no id is refused and never becomes a path", async () => {
      for (const id of ["", "../x", "a/b", "A", "rm-a", "a".repeat(65)]) {
        await assert.rejects(snapshotter.create(id, "active", []), { code: "EINVAL" });
        await assert.rejects(snapshotter.remove(id), { code: "EINVAL" });
        assert.throws(() => snapshotter.mounts(id, "active", []), { code: "EINVAL" });
      }
    });
  });
}
