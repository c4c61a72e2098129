import assert from "node:assert/strict";
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { View } from "../../src/ledger.ts";
import { snapshots } from "../../src/wire/mod.ts";
import { type ApiServer, startApi } from "../harness/api-server.ts";
import { codeOf, serviceClient } from "../harness/grpc-client.ts";
import { testOrigin } from "../harness/ledger.ts";
import { createLease, held, onBothDaemons } from "../harness/service-subject.ts";
import { temporaryDirectory } from "../harness/temporary.ts";
import { contentDirectory, snapshotsServiceSuite } from "../suites/snapshots-service.ts";

const snapshotters = ["overlayfs", "native"];

for (const each of snapshotters) {
  onBothDaemons(`snapshots on ${each}`, snapshots.SnapshotsDefinition, (name, subject) =>
    snapshotsServiceSuite(name, each, subject),
  );
}

const namespace = "ns";
const snapshotter = "overlayfs";

/** A server and a client of a test's own. */
async function start(t: TestContext, root: string, hook?: (operation: string) => void) {
  const api = await startApi(root, hook);
  const client = serviceClient(snapshots.SnapshotsDefinition, api.socket);
  const close = async () => {
    client.close();
    await api.close();
  };
  t.after(close);
  return {
    api,
    client,
    close,
    directories: () => readdir(join(root, `io.containerd.snapshotter.v1.${snapshotter}`, "snapshots")),
  };
}

const rowIds = ({ ledger }: ApiServer) => [...ledger.view.snapshots.all()].map(({ row }) => row.id).toSorted();

test("one prepare wins and leaves the only directory when many ask for one key", async (t) => {
  const { api, client, directories } = await start(t, await temporaryDirectory(t));
  const codes = await Promise.all(
    Array.from({ length: 8 }, () => codeOf(client.prepare({ snapshotter, key: "k" }, { namespace }))),
  );
  assert.deepEqual(codes.toSorted(), [
    "ALREADY_EXISTS",
    "ALREADY_EXISTS",
    "ALREADY_EXISTS",
    "ALREADY_EXISTS",
    "ALREADY_EXISTS",
    "ALREADY_EXISTS",
    "ALREADY_EXISTS",
    "OK",
  ]);
  assert.deepEqual(await directories(), rowIds(api));
  assert.deepEqual(api.leftovers, []);
});

test("commit or remove wins, never both, wherever in the commit the remove comes", async (t) => {
  let told: (() => void) | undefined;
  const { api, client, directories } = await start(t, await temporaryDirectory(t), (operation) => {
    if (operation === "snapshot.usage") told?.();
  });
  const wins = { commit: 0, remove: 0 };
  for (let round = 0; round < 30; round++) {
    const { mounts } = await client.prepare({ snapshotter, key: "k" }, { namespace });
    await writeFile(join(contentDirectory(mounts), "file"), "x");
    const measuring = Promise.withResolvers<void>();
    told = measuring.resolve;
    const committed = codeOf(client.commit({ snapshotter, key: "k", name: `layer-${round}` }, { namespace }));
    if (round % 3 === 1) await measuring.promise;
    if (round % 3 === 2) {
      const isGone = (view: View) =>
        view.snapshots.get(namespace, `${snapshotter}/k`) === undefined ? true : undefined;
      await api.ledger.until({ kind: "snapshot", namespace, key: `${snapshotter}/k` }, isGone, t.signal);
    }
    const codes = [await codeOf(client.remove({ snapshotter, key: "k" }, { namespace })), await committed];
    assert.deepEqual(codes.toSorted(), ["NOT_FOUND", "OK"]);
    wins[codes[1] === "OK" ? "commit" : "remove"]++;
    assert.deepEqual((await directories()).toSorted(), rowIds(api));
  }
  assert.ok(wins.commit > 0 && wins.remove > 0, `commit won ${wins.commit} times, remove ${wins.remove}`);
  assert.deepEqual([api.faults, api.leftovers], [[], []]);
});

test("commit is NotFound when the snapshot was replaced while it was measured", async (t) => {
  const measuring = Promise.withResolvers<void>();
  let arm = false;
  const root = await temporaryDirectory(t);
  const { api, client } = await start(t, root, (operation) => {
    if (arm && operation === "snapshot.usage") measuring.resolve();
  });
  const first = await client.prepare({ snapshotter, key: "k" }, { namespace });
  // Enough names that the measuring lasts until the key has changed hands.
  await Promise.all(
    Array.from({ length: 2000 }, (_, index) => writeFile(join(contentDirectory(first.mounts), `${index}`), "")),
  );
  arm = true;
  const committed = codeOf(client.commit({ snapshotter, key: "k", name: "layer" }, { namespace }));
  await measuring.promise;
  const { ledger } = api;
  const row = ledger.view.snapshots.get(namespace, `${snapshotter}/k`)!;
  await ledger.transact(testOrigin(namespace), () => [
    { kind: "snapshot", key: `${snapshotter}/k`, command: { type: "RemoveSnapshot", key: "k", children: 0 } },
    {
      kind: "snapshot",
      key: `${snapshotter}/k`,
      command: { type: "PrepareSnapshot", key: "k", id: "another", parent: "", observedParent: "none", labels: {} },
    },
  ]);
  assert.equal(await committed, "NOT_FOUND");
  assert.notEqual(row.id, "another");
  assert.equal(ledger.view.snapshots.get(namespace, `${snapshotter}/layer`), undefined);
});

test("a snapshot is not built on a parent that went while its directory was made", async (t) => {
  const root = await temporaryDirectory(t);
  const { api, client, directories } = await start(t, root);
  for (let round = 0; round < 20; round++) {
    await client.prepare({ snapshotter, key: "work" }, { namespace });
    await client.commit({ snapshotter, key: "work", name: "parent" }, { namespace });
    const [prepared, removed] = await Promise.all([
      codeOf(client.prepare({ snapshotter, key: "child", parent: "parent" }, { namespace })),
      codeOf(client.remove({ snapshotter, key: "parent" }, { namespace })),
    ]);
    assert.ok(
      (prepared === "OK" && removed === "FAILED_PRECONDITION") || (prepared === "NOT_FOUND" && removed === "OK"),
      `${prepared}, ${removed}`,
    );
    assert.deepEqual((await directories()).toSorted(), rowIds(api));
    if (prepared === "OK")
      for (const key of ["child", "parent"]) await client.remove({ snapshotter, key }, { namespace });
  }
  assert.deepEqual([api.faults, api.leftovers], [[], []]);
});

test("a lease holds a snapshot whose key or name was taken", async (t) => {
  const { api, client } = await start(t, await temporaryDirectory(t));
  await createLease(api, namespace, "one");
  await client.prepare({ snapshotter, key: "work" }, { namespace });
  assert.equal(
    await codeOf(client.prepare({ snapshotter, key: "work" }, { namespace, lease: "one" })),
    "ALREADY_EXISTS",
  );
  await client.commit({ snapshotter, key: "work", name: "layer" }, { namespace });
  await client.prepare({ snapshotter, key: "again" }, { namespace });
  assert.equal(
    await codeOf(client.commit({ snapshotter, key: "again", name: "layer" }, { namespace, lease: "one" })),
    "ALREADY_EXISTS",
  );
  assert.deepEqual(held(api, namespace, "one"), ["snapshots/overlayfs layer", "snapshots/overlayfs work"]);
});

test("an empty key or name is InvalidArgument, and a malformed filter Unknown", async (t) => {
  const { api, client } = await start(t, await temporaryDirectory(t));
  await client.prepare({ snapshotter, key: "work" }, { namespace });
  const { next } = api.ledger.view;
  assert.equal(await codeOf(client.prepare({ snapshotter, key: "" }, { namespace })), "INVALID_ARGUMENT");
  assert.equal(
    await codeOf(client.prepare({ snapshotter, key: "x".repeat(40_000) }, { namespace })),
    "INVALID_ARGUMENT",
  );
  assert.equal(await codeOf(client.commit({ snapshotter, key: "work", name: "" }, { namespace })), "INVALID_ARGUMENT");
  assert.equal(await codeOf(client.list({ snapshotter, filters: ["kind="] }, { namespace })), "UNKNOWN", "containerd loses the class here");
  assert.equal(api.ledger.view.next, next);
});

test("a remove is done, and its directory left to the next start, when the directory cannot be removed", async (t) => {
  const root = await temporaryDirectory(t);
  let refuse = true;
  const { api, client, close, directories } = await start(t, root, (operation) => {
    if (refuse && operation === "snapshot.rename") throw new Error("busy");
  });
  await client.prepare({ snapshotter, key: "k" }, { namespace });
  await client.remove({ snapshotter, key: "k" }, { namespace });
  assert.equal(api.leftovers.length, 1);
  assert.equal((await directories()).length, 1);
  refuse = false;
  await close();
  await start(t, root);
  assert.deepEqual(await directories(), []);
});

test("snapshots are as they were after a restart, whatever directories a crash left or took", async (t) => {
  const root = await temporaryDirectory(t);
  const first = await start(t, root);
  await first.client.prepare({ snapshotter, key: "work" }, { namespace });
  await first.client.commit({ snapshotter, key: "work", name: "layer", labels: { a: "b" } }, { namespace });
  const { mounts } = await first.client.prepare({ snapshotter, key: "active", parent: "layer" }, { namespace });
  const usage = await first.client.usage({ snapshotter, key: "layer" }, { namespace });
  await first.api.snapshotters.get(snapshotter)!.create("unrecorded", "active", []);
  await first.close();
  await rm(contentDirectory(mounts), { recursive: true });
  const second = await start(t, root);
  assert.deepEqual((await second.client.mounts({ snapshotter, key: "active" }, { namespace })).mounts, mounts);
  assert.deepEqual(await readdir(contentDirectory(mounts)), []);
  assert.deepEqual(await second.client.usage({ snapshotter, key: "layer" }, { namespace }), usage);
  assert.deepEqual((await second.directories()).toSorted(), rowIds(second.api));
});

test("a prepare leaves no directory whichever of its file operations fails", async (t) => {
  let count = Number.NEGATIVE_INFINITY;
  let failing = 0;
  const { api, client, directories } = await start(t, await temporaryDirectory(t), () => {
    if (count++ === failing) throw new Error("refused");
  });
  for (; ; failing++) {
    count = 0;
    const code = await codeOf(client.prepare({ snapshotter, key: "k" }, { namespace }));
    count = Number.NEGATIVE_INFINITY;
    if (code === "OK") break;
    assert.equal(code, "UNKNOWN");
    assert.deepEqual(await directories(), []);
  }
  assert.ok(failing >= 3, `${failing} operations were seen`);
  assert.deepEqual(await directories(), rowIds(api));
});
