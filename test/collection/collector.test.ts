import assert from "node:assert/strict";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Collector } from "../../src/collection/mod.ts";
import { randomIds, systemClock } from "../../src/platform/mod.ts";
import type { Snapshotter } from "../../src/snapshots/mod.ts";
import { type ApiServer, startApi } from "../harness/api-server.ts";
import { eventually, within } from "../harness/eventually.ts";
import { testOrigin } from "../harness/ledger.ts";
import { temporaryDirectory } from "../harness/temporary.ts";
import { Client, digestOf } from "./remains.ts";

interface Stage {
  readonly api: ApiServer;
  readonly client: Client;
  readonly collector: Collector;
  readonly troubles: Error[];
}

/** The services on a root of their own, and a collector that runs when it is told to. `replace` may put another snapshotter in its place. */
async function stage(
  t: TestContext,
  replace: (snapshotter: Snapshotter) => Snapshotter = (snapshotter) => snapshotter,
): Promise<Stage> {
  const api = await startApi(await temporaryDirectory(t));
  const client = new Client(api.socket, "n");
  const troubles: Error[] = [];
  const { ledger, store } = api;
  const snapshotters = new Map([...api.snapshotters].map(([name, snapshotter]) => [name, replace(snapshotter)]));
  const collector = new Collector({
    ledger,
    store,
    snapshotters,
    clock: systemClock,
    ids: randomIds,
    onLeftover: (error) => troubles.push(error),
  });
  t.after(async () => {
    client.close();
    await collector.stop();
    await api.close();
  });
  return { api, client, collector, troubles };
}

const target = (digest: string) => ({ mediaType: "m", digest, size: 1, annotations: {} });

const blobsOf = ({ ledger }: ApiServer): string[] => ledger.view.blobs.list("n").map(({ key }) => key);

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

test("what is collected is gone from the tables and from the disk, and what is referred to stays", async (t) => {
  const { api, client, collector } = await stage(t);
  const kept = await client.blob("kept");
  const gone = await client.blob("gone");
  await api.ledger.transact(testOrigin("n"), () => [
    { kind: "image", key: "i", command: { type: "CreateImage", name: "i", target: target(kept), labels: {} } },
  ]);
  await client.prepare("loose");
  const { id } = api.ledger.view.snapshots.get("n", "native/loose")!;
  const directory = join(api.snapshotters.get("native")!.root, "snapshots", id);
  assert.ok(await exists(directory));

  const collection = await collector.collect();
  await collection.filesGone();
  assert.deepEqual(
    collection.removed.map(({ kind, key }) => `${kind} ${key}`).sort(),
    [`blob ${gone}`, "snapshot native/loose"].sort(),
  );
  assert.deepEqual(blobsOf(api), [kept]);
  assert.equal(await client.read(kept), "kept");
  assert.equal(await exists(api.store.blobPath(gone)), false);
  assert.equal(await exists(directory), false);
});

test("an upload that somebody writes is kept however old it is, and goes once nobody does", async (t) => {
  const { api, client, collector } = await stage(t);
  // Begun under a lease that is gone: nothing but its writer keeps it.
  const { ledger } = api;
  await ledger.transact(testOrigin("n"), () => [
    { kind: "lease", key: "l", command: { type: "CreateLease", id: "l", labels: {} } },
  ]);
  await client.upload("r", "l");
  await ledger.transact(testOrigin("n"), () => [
    { kind: "lease", key: "l", command: { type: "DeleteLease", id: "l" } },
  ]);
  await eventually("the writer has let go", () => (api.store.isBeingWritten("n", "r") ? undefined : true));
  const letGo = await api.store.lockRef("n", "r", new AbortController().signal);
  assert.deepEqual((await collector.collect()).removed, []);
  letGo();
  assert.deepEqual(
    (await collector.collect()).removed.map(({ kind, key }) => [kind, key]),
    [["ingest", "r"]],
  );
});

test("those who ask during a collection share the next one, which looks anew", async (t) => {
  const { api, client, collector } = await stage(t);
  await client.blob("one");
  const first = collector.collect();
  const [second, third] = [collector.collect(), collector.collect()];
  assert.notEqual(second, first);
  assert.equal(third, second);
  assert.deepEqual([(await first).removed.length, (await second).removed.length], [1, 0]);
  assert.deepEqual(blobsOf(api), []);
});

test("explaining names what a collection would remove and changes nothing", async (t) => {
  const { api, client, collector } = await stage(t);
  const digest = await client.blob("gone");
  const { next } = api.ledger.view;
  const reason = "no lease, image, container or label refers to it";
  assert.deepEqual(await collector.explain(), [{ namespace: "n", kind: "blob", key: digest, reason }]);
  assert.equal(api.ledger.view.next, next);
});

test("more than one append holds is collected whole, and each append names what it ended", async (t) => {
  const { api, client, collector } = await stage(t);
  const texts = Array.from({ length: 150 }, (_, index) => `blob ${index}`);
  await Promise.all(texts.map((text) => client.blob(text)));
  const from = api.ledger.view.next;
  const collection = await collector.collect();
  await collection.filesGone();
  assert.deepEqual(collection.removed.map(({ key }) => key).sort(), texts.map(digestOf).sort());
  const row = api.ledger.view.collections.get("n", "n")!;
  assert.deepEqual([row.count, row.removed, api.ledger.view.next - from], [2, 150, 152]);
  assert.deepEqual(await api.store.listBlobs(), []);
});

test("a removal that hangs delays neither other stores, nor other collections, nor those who write", async (t) => {
  const hung = Promise.withResolvers<void>();
  const { api, client, collector } = await stage(t, (snapshotter) =>
    snapshotter.name === "native"
      ? Object.assign(Object.create(snapshotter) as Snapshotter, { remove: () => hung.promise })
      : snapshotter,
  );
  t.after(() => hung.resolve());
  await client.prepare("loose");
  const { id } = api.ledger.view.snapshots.get("n", "native/loose")!;
  await within("a collection is recorded though its files do not go", 5_000, collector.collect());
  assert.ok(collector.isRemovingSnapshot("native", id));

  const gone = await client.blob("gone");
  const started = performance.now();
  const collection = await within("another collection", 5_000, collector.collect());
  await within("its files go", 5_000, collection.filesGone());
  assert.equal(await exists(api.store.blobPath(gone)), false);
  const times: number[] = [];
  for (let count = 0; count < 50; count += 1) {
    const before = performance.now();
    await client.prepare(`k${count}`);
    times.push(performance.now() - before);
  }
  times.sort((a, b) => a - b);
  t.diagnostic(
    `prepare beside a hung removal: median ${times[25]!.toFixed(1)} ms, worst ${times[49]!.toFixed(1)} ms; the collection took ${(performance.now() - started).toFixed(0)} ms with them`,
  );
  assert.ok(times[48]! < 100, `${times[48]} ms`);
  assert.ok(collector.isRemovingSnapshot("native", id), "it still hangs");
});

test("a removal that fails is told, and the next one goes on", async (t) => {
  let failures = 1;
  const { api, client, collector, troubles } = await stage(t, (snapshotter) => {
    const remove = async (id: string) => {
      if (snapshotter.name === "native" && failures-- > 0) throw new Error("no luck");
      await snapshotter.remove(id);
    };
    return Object.assign(Object.create(snapshotter) as Snapshotter, { remove });
  });
  await client.prepare("one");
  await client.prepare("two");
  const collection = await collector.collect();
  await collection.filesGone();
  assert.equal(collection.removed.length, 2);
  assert.equal((await api.snapshotters.get("native")!.list()).length, 1);
  assert.match(troubles[0]!.message, /^native: remove directory [0-9a-f]+$/);
});
