import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, beforeEach, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { type MountDescription, withTemporaryMount } from "../../src/platform/mod.ts";
import { directTarget } from "../../src/snapshots/apply.ts";
import {
  applyLayer,
  LayerInvalid,
  LayerWriteFailed,
  MediaTypeUnsupported,
  openOverlayfs,
  SnapshotWorkers,
} from "../../src/snapshots/mod.ts";
import { archive } from "./tar-builder.ts";

const gzipped = "application/vnd.oci.image.layer.v1.tar+gzip";

describe("applyLayer", () => {
  const workers = new SnapshotWorkers(2);
  let work: string;
  let mounts: MountDescription[];
  beforeEach(() => {
    work = mkdtempSync(join(tmpdir(), "shiplog-applylayer-"));
    for (const name of ["root", "temporary"]) mkdirSync(join(work, name));
    mounts = [{ type: "bind", source: join(work, "root"), options: ["rw", "rbind"] }];
  });
  afterEach(() => rmSync(work, { recursive: true }));
  after(() => workers.close());
  const options = () => ({ workers, temporary: join(work, "temporary") });
  async function* stream(...pieces: Buffer[]): AsyncGenerator<Buffer> {
    yield* pieces;
  }

  test("directTarget writes an overlay's upper directory and a writable bind's source, and nothing else without mounting", () => {
    const overlay = {
      type: "overlay",
      source: "overlay",
      options: ["index=off", "workdir=/w", "upperdir=/u", "lowerdir=/b:/a"],
    };
    assert.deepEqual(directTarget([overlay]), { root: "/u", lowers: ["/b", "/a"], whiteouts: "mark" });
    assert.deepEqual(directTarget(mounts), { root: join(work, "root"), lowers: [], whiteouts: "delete" });
    for (const other of [
      [{ ...overlay, options: ["lowerdir=/b:/a"] }],
      [{ ...mounts[0]!, options: ["ro", "rbind"] }],
      [{ ...mounts[0]!, target: "/inside" }],
      [{ type: "ext4", source: "/dev/x", options: [] }],
      [overlay, mounts[0]!],
      [],
    ])
      assert.equal(directTarget(other), undefined);
  });

  test("a blob is applied from its path and from its bytes with the same answer", async () => {
    const blob = gzipSync(archive({ name: "f", content: "x".repeat(3_000_000) }));
    writeFileSync(join(work, "blob"), blob);
    const fromPath = await applyLayer({ source: join(work, "blob"), mediaType: gzipped, mounts }, options());
    rmSync(join(work, "root", "f"));
    const fromBytes = await applyLayer(
      { source: stream(blob.subarray(0, 100), blob.subarray(100)), mediaType: gzipped, mounts },
      options(),
    );
    assert.deepEqual(fromBytes, fromPath);
    assert.equal(readFileSync(join(work, "root", "f"), "utf8").length, 3_000_000);
  });

  test("more layers than threads are applied, each to its own place", async () => {
    const roots = Array.from({ length: 6 }, (_, index) => join(work, `root${index}`));
    for (const root of roots) mkdirSync(root);
    await Promise.all(
      roots.map((source, index) =>
        applyLayer(
          {
            source: stream(archive({ name: `f${index}` })),
            mediaType: "application/vnd.oci.image.layer.v1.tar",
            mounts: [{ ...mounts[0]!, source }],
          },
          options(),
        ),
      ),
    );
    assert.deepEqual(
      roots.map((root) => readdirSync(root)),
      roots.map((_, index) => [`f${index}`]),
    );
  });

  test("a mount that is no directory yet is mounted for as long as the work takes", async () => {
    const image = join(work, "image");
    const tmpfs = { type: "tmpfs", source: "tmpfs", options: ["size=1m"] };
    const layer = () => stream(archive({ name: "f", content: "x" }));
    await applyLayer(
      { source: layer(), mediaType: "application/vnd.oci.image.layer.v1.tar", mounts: [tmpfs] },
      options(),
    );
    // A bind over the tmpfs shows where the layer went.
    mkdirSync(image);
    const stacked = [tmpfs, { type: "bind", source: image, options: ["rbind", "rw"] }];
    await applyLayer(
      { source: layer(), mediaType: "application/vnd.oci.image.layer.v1.tar", mounts: stacked },
      options(),
    );
    assert.deepEqual(readdirSync(image), ["f"]);
    assert.deepEqual(readdirSync(join(work, "temporary")), []);
  });

  test("a temporary mount is undone when the layer is refused or the place is full", async () => {
    const tmpfs = [{ type: "tmpfs", source: "tmpfs", options: ["size=64k"] }];
    const full = stream(archive({ name: "f", content: Buffer.alloc(1_000_000, 1) }));
    await assert.rejects(
      applyLayer({ source: full, mediaType: "application/vnd.oci.image.layer.v1.tar", mounts: tmpfs }, options()),
      { name: "LayerWriteFailed", code: "ENOSPC" },
    );
    await assert.rejects(
      applyLayer({ source: stream(Buffer.from("no layer".repeat(100))), mediaType: gzipped, mounts: tmpfs }, options()),
      LayerInvalid,
    );
    assert.deepEqual(readdirSync(join(work, "temporary")), []);
  });

  test("errors keep their class, code, place and cause across the threads", async () => {
    const failing = applyLayer(
      { source: stream(archive({ name: "f" }, { name: "f/x" })), mediaType: gzipped, mounts },
      options(),
    );
    await assert.rejects(failing, (thrown: unknown) => {
      assert.ok(thrown instanceof LayerWriteFailed);
      assert.deepEqual(
        [thrown.code, thrown.offset, (thrown.cause as Error).message.slice(0, 8)],
        ["ENOTDIR", 512, "ENOTDIR:"],
      );
      return true;
    });
    const unsupported = applyLayer({ source: stream(), mediaType: "text/plain", mounts }, options());
    await assert.rejects(
      unsupported,
      (thrown: unknown) => thrown instanceof MediaTypeUnsupported && thrown.mediaType === "text/plain",
    );
    await assert.rejects(applyLayer({ source: join(work, "absent"), mediaType: gzipped, mounts }, options()), {
      code: "ENOENT",
    });
    async function* broken(): AsyncGenerator<Buffer> {
      yield Buffer.alloc(0);
      throw new RangeError("connection lost");
    }
    await assert.rejects(applyLayer({ source: broken(), mediaType: gzipped, mounts }, options()), RangeError);
  });

  test("an aborted apply ends with the signal's reason, also while its source says nothing", async () => {
    const aborting = new AbortController();
    const asked = new EventTarget();
    async function* silent(): AsyncGenerator<Buffer> {
      yield archive({ name: "f", content: "x" }).subarray(0, 512);
      asked.dispatchEvent(new Event("asked"));
      await once(aborting.signal, "abort");
    }
    const applying = applyLayer(
      { source: silent(), mediaType: "application/vnd.oci.image.layer.v1.tar", mounts, signal: aborting.signal },
      options(),
    );
    const refused = assert.rejects(applying, /no longer wanted/);
    await once(asked, "asked");
    aborting.abort(new Error("no longer wanted"));
    await refused;
    await assert.rejects(
      applyLayer({ source: stream(), mediaType: gzipped, mounts, signal: aborting.signal }, options()),
      /no longer wanted/,
    );
  });

  test("a layer with deletions on a snapshot is seen through its mounts, and a view refuses one", async () => {
    const snapshotter = await openOverlayfs({ root: join(work, "overlayfs"), workers });
    const chain = ["top", "base"];
    await snapshotter.create("base", "active", []);
    await snapshotter.create("top", "active", ["base"]);
    const apply = (bytes: Buffer, onto: MountDescription[]) =>
      applyLayer({ source: stream(bytes), mediaType: gzipped, mounts: onto }, options());
    await apply(archive({ name: "a" }, { name: "d/b" }), snapshotter.mounts("base", "active", []));
    await apply(gzipSync(archive({ name: ".wh.a" }, { name: "d/c" })), snapshotter.mounts("top", "active", ["base"]));
    const view = snapshotter.mounts("v", "view", chain);
    const seen = await withTemporaryMount(view, options().temporary, async (root) => [
      readdirSync(root),
      readdirSync(join(root, "d")),
    ]);
    assert.deepEqual(seen, [["d"], ["b", "c"]]);
    await assert.rejects(apply(archive({ name: "never" }), view), { name: "LayerWriteFailed", code: "EROFS" });
    assert.deepEqual(readdirSync(join(work, "temporary")), []);
  });

  test("closed workers fail the job under way and those that wait, and take no more", async () => {
    const closing = new SnapshotWorkers(1);
    const asked = new EventTarget();
    async function* silent(): AsyncGenerator<Buffer> {
      asked.dispatchEvent(new Event("asked"));
      await new Promise(() => {});
    }
    const run = (source: AsyncIterable<Buffer>) =>
      applyLayer({ source, mediaType: gzipped, mounts }, { ...options(), workers: closing });
    const underWay = assert.rejects(run(silent()), /ended with code/);
    const waiting = assert.rejects(run(stream()), /closed/);
    await once(asked, "asked");
    await closing.close();
    await Promise.all([waiting, underWay]);
    await assert.rejects(run(stream()), /closed/);
  });
});
