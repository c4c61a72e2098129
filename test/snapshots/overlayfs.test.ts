import assert from "node:assert/strict";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { errorCode, mount, unmount } from "../../src/platform/mod.ts";
import { openOverlayfs, type LocalSnapshotter, SnapshotWorkers } from "../../src/snapshots/mod.ts";
import { snapshotterSuite } from "../suites/snapshotter.ts";

snapshotterSuite("overlayfs", openOverlayfs);

describe("overlayfs snapshotter", () => {
  const workers = new SnapshotWorkers(1);
  let work: string;
  let snapshotter: LocalSnapshotter;
  before(async () => {
    work = mkdtempSync(join(tmpdir(), "shiplog-overlayfs-"));
    snapshotter = await openOverlayfs({ root: work, workers });
  });
  after(async () => {
    await workers.close();
    rmSync(work, { recursive: true });
  });

  test("mounts are containerd's, option by option", () => {
    const at = (id: string) => `${work}/snapshots/${id}`;
    const bind = (source: string, mode: string) => [{ type: "bind", source, options: [mode, "rbind"] }];
    const overlay = (...options: string[]) => [
      { type: "overlay", source: "overlay", options: ["index=off", ...options] },
    ];
    assert.deepEqual(snapshotter.mounts("a", "active", []), bind(`${at("a")}/fs`, "rw"));
    assert.deepEqual(snapshotter.mounts("v", "view", []), bind(`${at("v")}/fs`, "ro"));
    assert.deepEqual(snapshotter.mounts("v", "view", ["a"]), bind(`${at("a")}/fs`, "ro"));
    assert.deepEqual(
      snapshotter.mounts("c", "active", ["b", "a"]),
      overlay(`workdir=${at("c")}/work`, `upperdir=${at("c")}/fs`, `lowerdir=${at("b")}/fs:${at("a")}/fs`),
    );
    assert.deepEqual(snapshotter.mounts("v", "view", ["b", "a"]), overlay(`lowerdir=${at("b")}/fs:${at("a")}/fs`));
  });

  test("directories have containerd's modes, and a view of a parent has none", async () => {
    await snapshotter.create("a", "active", []);
    await snapshotter.create("v", "view", ["a"]);
    const mode = (path: string) => lstatSync(join(work, "snapshots", path)).mode & 0o7777;
    assert.deepEqual([mode("a"), mode("a/fs"), mode("a/work")], [0o700, 0o755, 0o711]);
    assert.deepEqual(await snapshotter.list(), ["a"]);
    assert.equal(await snapshotter.exists("v", "view", ["a"]), true);
  });

  test("a directory that lost a part is found incomplete and made whole", async () => {
    await snapshotter.create("torn", "active", []);
    rmdirSync(join(work, "snapshots", "torn", "work"));
    assert.equal(await snapshotter.exists("torn", "active", []), false);
    await snapshotter.create("torn", "active", []);
    assert.equal(await snapshotter.exists("torn", "active", []), true);
  });

  test("a root that overlayfs would misread is refused", async () => {
    await assert.rejects(openOverlayfs({ root: join(work, "a:b"), workers }), /holds ':' or ','/);
  });

  test("a file system that cannot hold upper layers is refused with the kernel's reason", async () => {
    const [lower, upper, workdir, merged] = ["lower", "upper", "workdir", "merged"].map((name) => join(work, name)) as [
      string,
      string,
      string,
      string,
    ];
    for (const directory of [lower, upper, workdir, merged]) mkdirSync(directory);
    mount(
      { type: "overlay", source: "overlay", options: [`lowerdir=${lower}`, `upperdir=${upper}`, `workdir=${workdir}`] },
      merged,
    );
    try {
      const opening = openOverlayfs({ root: join(merged, "root"), workers });
      await assert.rejects(
        opening,
        (thrown: unknown) =>
          thrown instanceof Error &&
          /cannot hold overlayfs layers/.test(thrown.message) &&
          errorCode(thrown.cause) === "EINVAL",
      );
      assert.deepEqual(readdirSync(join(merged, "root")), ["snapshots"]);
    } finally {
      await unmount(merged);
    }
  });
});
