import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openNative, SnapshotWorkers } from "../../src/snapshots/mod.ts";
import { snapshotterSuite } from "../suites/snapshotter.ts";

snapshotterSuite("native", openNative);

test("native mounts are containerd's, option by option", async () => {
  const work = mkdtempSync(join(tmpdir(), "shiplog-native-"));
  try {
    const snapshotter = await openNative({ root: work, workers: new SnapshotWorkers(1) });
    const bind = (id: string, mode: string) => [
      { type: "bind", source: `${work}/snapshots/${id}`, options: ["rbind", mode] },
    ];
    assert.deepEqual(snapshotter.mounts("a", "active", []), bind("a", "rw"));
    assert.deepEqual(snapshotter.mounts("c", "active", ["b", "a"]), bind("c", "rw"));
    assert.deepEqual(snapshotter.mounts("v", "view", ["b", "a"]), bind("b", "ro"));
    assert.deepEqual(snapshotter.mounts("v", "view", []), bind("v", "ro"));
  } finally {
    rmSync(work, { recursive: true });
  }
});
