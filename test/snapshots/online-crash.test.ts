/** A daemon that is killed while it takes a picture leaves either no picture or a whole one, and no container that stands still. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { mountAll, unmountAll } from "../../src/platform/mod.ts";
import { TaskStatus } from "../../src/wire/mod.ts";
import { eventually } from "../harness/eventually.ts";
import { consistentCounter, counting } from "./counting.ts";
import { Harbour } from "../harness/harbour.ts";

const snapshotter = "overlayfs";
let harbour: Harbour;
before(async () => {
  harbour = await Harbour.open("online-crash");
  await harbour.run("counter", counting);
  await eventually("the container counts", async () => {
    const files = await harbour.exec("counter", "ls", "/data").catch(() => "");
    return files.includes("pair-") || undefined;
  });
  // Long enough to copy that each moment of it can be met.
  await harbour.exec("counter", "dd", "if=/dev/zero", "of=/data/large", "bs=1M", "count=96");
});
after(() => harbour?.dispose());

const directories = () =>
  readdir(join(harbour.daemon.paths.root, `io.containerd.snapshotter.v1.${snapshotter}`, "snapshots"));

/** When the daemon is killed. Each resolves at its moment of a picture's making. */
const moments: Readonly<Record<string, (name: string, before: readonly string[]) => Promise<void>>> = {
  "has said that it will": async (name) => {
    await eventually("the intent is recorded", async () => {
      const facts = await harbour.facts(`snapshot/${snapshotter}/counter`);
      const last = facts.at(-1)!;
      return (last.type === "SnapshotTaking" && last.data.text("name") === name) || undefined;
    });
  },
  "has made the container stand still": async () => {
    await eventually(
      "it stands still",
      async () => (await harbour.status("counter")) === TaskStatus.PAUSED || undefined,
    );
  },
  copies: async (_name, before) => {
    await eventually("a directory has come", async () => (await directories()).length > before.length || undefined);
  },
  "has let the container go on": async () => {
    await moments["has made the container stand still"]!("", []);
    await eventually("it goes on", async () => (await harbour.status("counter")) === TaskStatus.RUNNING || undefined);
  },
  "has answered": async () => {},
};

let number = 0;
for (const [moment, reached] of [...Object.entries(moments), ...Object.entries(moments).slice(1, 4)]) {
  const name = `picture-${++number}`;
  test(`a daemon killed when it ${moment} leaves no picture or a whole one (${name})`, async () => {
    const before = await directories();
    const taking = harbour.pictures.take({ container: "counter", name }).then(
      () => true,
      () => false,
    );
    if (moment === "has answered") assert.equal(await taking, true);
    await reached(name, before);
    await harbour.kill();
    const acknowledged = await taking;
    await harbour.start();

    assert.equal(await harbour.status("counter"), TaskStatus.RUNNING, "the container goes on");
    const { mounts } = await harbour.snapshots
      .view({ snapshotter, key: `look-${name}`, parent: name, labels: { "containerd.io/gc.root": "test" } })
      .catch(() => ({ mounts: undefined }));
    assert.ok(mounts !== undefined || !acknowledged, "what was acknowledged is there");
    if (mounts !== undefined) {
      const root = mkdtempSync(join(tmpdir(), "shiplog-look-"));
      await mountAll(mounts, root);
      try {
        consistentCounter(join(root, "data"));
      } finally {
        await unmountAll(root);
        rmSync(root, { recursive: true });
      }
      await harbour.snapshots.remove({ snapshotter, key: `look-${name}` });
    }
    const closed = (await harbour.facts(`snapshot/${snapshotter}/counter`)).findLast(
      ({ type }) => type.startsWith("SnapshotTake") || type === "SnapshotTaking",
    );
    assert.notEqual(closed!.type, "SnapshotTaking", "the intent is closed");
    const expected = mounts === undefined ? before.length : before.length + 1;
    assert.equal((await directories()).length, expected, "nothing half-made is left");
    await harbour.isSound();
    // And pictures are taken as before.
    await harbour.pictures.take({ container: "counter", name: `${name}-after` });
    for (const each of [...(mounts === undefined ? [] : [name]), `${name}-after`])
      await harbour.snapshots.remove({ snapshotter, key: each });
  });
}

test("a daemon that is asked to stop while it takes a picture lets the container go on, at once or at its next start", async () => {
  const before = await directories();
  const taking = harbour.pictures.take({ container: "counter", name: "stopped" }).catch(() => {});
  await moments.copies!("stopped", before);
  await harbour.daemon.end("SIGTERM");
  await taking;
  await harbour.start();
  assert.equal(await harbour.status("counter"), TaskStatus.RUNNING);
  const { info } = await harbour.snapshots.stat({ snapshotter, key: "stopped" }).catch(() => ({ info: undefined }));
  assert.equal((await directories()).length, info === undefined ? before.length : before.length + 1);
  await harbour.isSound();
  if (info !== undefined) await harbour.snapshots.remove({ snapshotter, key: "stopped" });
});

test("a container that its client had paused before the daemon was killed stays paused", async () => {
  await harbour.ctr("tasks", "pause", "counter");
  const before = await directories();
  const taking = harbour.pictures.take({ container: "counter", name: "still" }).catch(() => {});
  await moments.copies!("still", before);
  await harbour.kill();
  await taking;
  await harbour.start();
  assert.equal(await harbour.status("counter"), TaskStatus.PAUSED);
  await harbour.ctr("tasks", "resume", "counter");
});
