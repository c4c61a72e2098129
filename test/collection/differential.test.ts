/** The same objects on shiplogd and on containerd: after a delete that waits for the collection, the same ones remain. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../harness/eventually.ts";
import { containerd, shiplogd, type TestDaemon } from "../harness/daemons.ts";
import { Client, digestOf } from "./remains.ts";

const ref = "containerd.io/gc.ref.content";
const future = "2999-01-01T00:00:00Z";

/** Objects that stand in every relation a collector knows, and such as only seem to. */
async function make(client: Client): Promise<void> {
  // Everything is made under one lease, as clients do, so that nothing goes before it is referred to.
  await client.lease("making");
  const blob = (text: string, labels: Readonly<Record<string, string>> = {}) => client.blob(text, labels, "making");
  for (const text of [
    "config",
    "shared layer",
    "own layer",
    "held",
    "held flat",
    "leaf",
    "expired",
    "nothing",
    "container's",
    "image's",
  ])
    await blob(text);
  await blob("manifest kept", {
    [`${ref}.config`]: digestOf("config"),
    [`${ref}/l.0`]: digestOf("shared layer"),
    [`${ref}s`]: digestOf("nothing"),
  });
  await blob("manifest deleted", { [`${ref}.l.0`]: digestOf("shared layer"), [`${ref}.l.1`]: digestOf("own layer") });
  await blob("rooted", { "containerd.io/gc.root": "whatever" });
  await blob("holds flat", { [ref]: digestOf("leaf") });
  await blob("names snapshot", { "containerd.io/gc.ref.snapshot.native/x": "labelled", "containerd.io/gc.root": "1" });
  await client.image("kept", digestOf("manifest kept"), { [`${ref}.extra`]: digestOf("image's") });
  await client.image("deleted", digestOf("manifest deleted"));
  await client.image("dangling", digestOf("there is no such content"));

  await client.lease("plain");
  await client.lease("flat", { "containerd.io/gc.flat": "" });
  // Some time ahead, for shiplogd takes a lease away as soon as its time has passed.
  const over = Date.now() + 2_000;
  await client.lease("over", { "containerd.io/gc.expire": new Date(over).toISOString() });
  await client.lease("to come", { "containerd.io/gc.expire": future });
  await client.lease("no time", { "containerd.io/gc.expire": "soon" });
  await client.hold("plain", "content", digestOf("held"));
  await client.hold("flat", "content", digestOf("holds flat"));
  await client.hold("over", "content", digestOf("expired"));
  await client.hold("to come", "snapshots/native", "held view");

  await client.prepare("work", "", {}, "making");
  await client.commit("work", "base", {}, "making");
  await client.prepare("work", "base", {}, "making");
  await client.commit("work", "second", {}, "making");
  await client.prepare("run", "second", {}, "making");
  await client.prepare("labelled", "", {}, "making");
  await client.prepare("loose", "base", {}, "making");
  await client.prepare("rooted", "", { "containerd.io/gc.root": "1" }, "making");
  await client.prepare("work", "", {}, "making");
  await client.commit("work", "under a loose one", {}, "making");
  await client.prepare("loose above", "under a loose one", {}, "making");
  await client.view("held view", "base", "making");
  await client.container("c", "run", { [`${ref}.x`]: digestOf("container's") });
  await client.container("gone", "loose");
  await client.deleteContainer("gone");

  await client.lease("uploading");
  await client.upload("unheld");
  await client.upload("held", "plain");
  await client.upload("let go", "uploading");
  await client.deleteLease("uploading");
  await eventually("the lease's time has passed", () => (Date.now() > over ? true : undefined));
}

/** Leases and uploads do not keep a namespace from being deleted; they end with it. */
async function afterNamespace(daemon: TestDaemon): Promise<unknown> {
  const client = new Client(daemon.address, "short-lived");
  try {
    await client.lease("l");
    await client.upload("leased", "l");
    await client.upload("unleased");
    await client.deleteNamespace();
    await client.lease("new");
    return await client.remains();
  } finally {
    client.close();
  }
}

async function remaining(daemon: TestDaemon): Promise<unknown> {
  await daemon.start();
  const client = new Client(daemon.address, "gc");
  try {
    await make(client);
    await client.deleteLease("making", true);
    const afterLease = await client.remains();
    await client.deleteImage("deleted", true);
    const afterImage = await client.remains();
    await client.deleteContainer("c");
    await client.deleteLease("plain", true);
    return {
      afterLease,
      afterImage,
      afterContainer: await client.remains(),
      afterNamespace: await afterNamespace(daemon),
    };
  } finally {
    client.close();
  }
}

test("after deletes that wait for the collection, the same objects remain on shiplogd as on containerd", async (t) => {
  const daemons = [await shiplogd(), await containerd()] as const;
  t.after(() => Promise.all(daemons.map((daemon) => daemon.dispose())));
  const [ours, theirs] = await Promise.all(daemons.map(remaining));
  assert.deepEqual(ours, theirs);
  const { afterLease, afterContainer } = ours as {
    afterLease: { blobs: string[] };
    afterContainer: { snapshots: string[] };
  };
  assert.ok(afterLease.blobs.includes(digestOf("own layer")) && !afterLease.blobs.includes(digestOf("nothing")));
  assert.ok(!afterContainer.snapshots.includes("run"));
});
