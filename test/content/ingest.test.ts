import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import {
  abortIngest,
  type ContentDependencies,
  ContentStore,
  Ingest,
  removeUnlinkedBlob,
  sweepContent,
} from "../../src/content/mod.ts";
import { type ErrorClass, ShiplogError } from "../../src/error.ts";
import { Files, type OperationHook, proceed } from "../../src/platform/mod.ts";
import { type OpenLedger, openLedgerIn, testOrigin } from "../harness/ledger.ts";
import { temporaryDirectory } from "../harness/temporary.ts";

const sha256 = (bytes: Uint8Array | string) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const unleased = { hold: () => [], release: () => [] };
const { signal } = new AbortController();

interface Daemon extends ContentDependencies {
  readonly opened: OpenLedger;
  readonly leftovers: Error[];
}

/** As the daemon starts: the log, the tables, then the files are brought in line. */
async function start(root: string, hook: OperationHook = proceed): Promise<Daemon> {
  const opened = await openLedgerIn(root);
  const store = new ContentStore({ root, files: new Files(hook), hook, lockWaitMsMax: 1 });
  await store.open();
  await sweepContent(opened.ledger.view, store);
  const leftovers: Error[] = [];
  return { opened, ledger: opened.ledger, store, leftovers, onLeftover: (error) => leftovers.push(error) };
}

async function temporaryDaemon(t: TestContext, hook?: OperationHook): Promise<Daemon> {
  const daemon = await start(await temporaryDirectory(t), hook);
  t.after(() => daemon.opened.close());
  return daemon;
}

const open = (daemon: Daemon, ref: string, options: { namespace?: string; total?: number; expected?: string } = {}) =>
  Ingest.open(daemon, {
    origin: testOrigin(options.namespace ?? "ns"),
    holding: unleased,
    ref,
    total: options.total ?? 0,
    expected: options.expected ?? "",
    signal,
  });

async function put(daemon: Daemon, bytes: string, namespace = "ns"): Promise<string> {
  const ingest = await open(daemon, `put-${bytes}`, { namespace });
  await ingest.append(Buffer.from(bytes));
  await ingest.commit({ total: 0, expected: "", labels: {} });
  await ingest.close();
  return sha256(bytes);
}

async function drop(daemon: Daemon, digest: string, namespace = "ns"): Promise<void> {
  await daemon.ledger.transact(testOrigin(namespace), () => [
    { kind: "blob", key: digest, command: { type: "DeleteBlob", digest } },
  ]);
  await removeUnlinkedBlob(daemon, digest);
}

const classIs = (expected: ErrorClass) => (error: unknown) => error instanceof ShiplogError && error.class === expected;

test("commit links the blob and ends the ingest in one append", async (t) => {
  const daemon = await temporaryDaemon(t);
  const ingest = await open(daemon, "layer", { total: 5, expected: sha256("hello") });
  await ingest.append(Buffer.from("hello"));
  const outcome = await ingest.commit({ total: 5, expected: sha256("hello"), labels: { a: "b" } });
  await ingest.close();
  assert.deepEqual(
    outcome.facts.map(({ stream, type, data }) => ({ stream, type, data })),
    [
      { stream: "ingest/layer", type: "IngestCommitted", data: { digest: sha256("hello"), size: 5 } },
      { stream: `blob/${sha256("hello")}`, type: "BlobCommitted", data: { size: 5, labels: { a: "b" } } },
    ],
  );
  assert.equal(daemon.ledger.view.ingests.get("ns", "layer"), undefined);
  assert.deepEqual(daemon.leftovers, []);
});

test("ingest goes on from its bytes when the daemon was killed while it was open", async (t) => {
  const root = await temporaryDirectory(t);
  const killed = await start(root);
  const ingest = await open(killed, "layer", { total: 10 });
  await ingest.append(Buffer.from("hello"));
  await killed.opened.close();
  const daemon = await start(root);
  const resumed = await open(daemon, "layer", { total: 10 });
  assert.equal(resumed.offset, 5);
  assert.equal(resumed.digest, sha256("hello"));
  assert.equal(resumed.startedAt, ingest.startedAt);
  await resumed.append(Buffer.from("world"));
  await resumed.commit({ total: 10, expected: sha256("helloworld"), labels: {} });
  await Promise.all([ingest.close(), resumed.close(), daemon.opened.close()]);
});

test("ingest starts over when another total is announced", async (t) => {
  const daemon = await temporaryDaemon(t);
  const first = await open(daemon, "layer", { total: 10 });
  await first.append(Buffer.from("hello"));
  await first.close();
  const unannounced = await open(daemon, "layer");
  assert.equal(unannounced.offset, 5);
  await unannounced.close();
  const other = await open(daemon, "layer", { total: 11 });
  assert.equal(other.offset, 0);
  assert.equal(daemon.ledger.view.ingests.get("ns", "layer")?.total, 11);
  await other.close();
});

test("ingest is Unavailable while another writer has the ref, in that namespace only", async (t) => {
  const daemon = await temporaryDaemon(t);
  const first = await open(daemon, "layer");
  await assert.rejects(open(daemon, "layer"), classIs("Unavailable"));
  await (await open(daemon, "layer", { namespace: "other" })).close();
  await first.close();
  await (await open(daemon, "layer")).close();
});

test("ingest keeps its bytes when a commit names another size or digest", async (t) => {
  const daemon = await temporaryDaemon(t);
  const ingest = await open(daemon, "layer");
  await ingest.append(Buffer.from("hello"));
  await assert.rejects(ingest.commit({ total: 4, expected: "", labels: {} }), classIs("FailedPrecondition"));
  await assert.rejects(
    ingest.commit({ total: 0, expected: sha256("hell"), labels: {} }),
    classIs("FailedPrecondition"),
  );
  await ingest.close();
  assert.deepEqual(await daemon.store.listBlobs(), []);
  const resumed = await open(daemon, "layer");
  assert.equal(resumed.offset, 5);
  const sha512 = `sha512:${createHash("sha512").update("hello").digest("hex")}`;
  await resumed.commit({ total: 0, expected: sha512, labels: {} });
  await resumed.close();
  assert.deepEqual(await daemon.store.listBlobs(), [sha512]);
});

test("open leaves no trace when its step is refused", async (t) => {
  const daemon = await temporaryDaemon(t);
  const refusing = {
    hold: () => {
      throw new ShiplogError("NotFound", "lease does not exist");
    },
    release: () => [],
  };
  const request = { origin: testOrigin("ns"), holding: refusing, ref: "layer", total: 0, expected: "", signal };
  await assert.rejects(Ingest.open(daemon, request), classIs("NotFound"));
  await assert.rejects(Ingest.open(daemon, { ...request, expected: "sha256:00" }), classIs("InvalidArgument"));
  assert.deepEqual(await readdir(join(daemon.opened.root, "io.containerd.content.v1.content", "ingest")), []);
  assert.equal(daemon.ledger.view.next, 0);
  await (await open(daemon, "layer")).close();
});

test("content that the namespace has is AlreadyExists, at the start and at the end", async (t) => {
  const daemon = await temporaryDaemon(t);
  const late = await open(daemon, "late");
  await late.append(Buffer.from("x"));
  await put(daemon, "x");
  await assert.rejects(open(daemon, "again", { expected: sha256("x") }), classIs("AlreadyExists"));
  await assert.rejects(late.commit({ total: 0, expected: "", labels: {} }), classIs("AlreadyExists"));
  await late.close();
  assert.deepEqual([...daemon.ledger.view.ingests.all()], []);
  assert.deepEqual(await readdir(join(daemon.opened.root, "io.containerd.content.v1.content", "ingest")), []);
});

test("content of another namespace is committed without its bytes", async (t) => {
  const daemon = await temporaryDaemon(t);
  const digest = await put(daemon, "shared", "theirs");
  const ingest = await open(daemon, "ref", { expected: digest });
  assert.equal(ingest.offset, 6);
  assert.equal(ingest.digest, digest);
  // It goes there while it is on its way here.
  await drop(daemon, digest, "theirs");
  await ingest.commit({ total: 6, expected: digest, labels: {} });
  await ingest.close();
  assert.equal((await stat(daemon.store.blobPath(digest))).size, 6);
  await drop(daemon, digest);
  assert.deepEqual(await daemon.store.listBlobs(), []);
});

test("content of another namespace becomes the writer's own when it goes on writing", async (t) => {
  const daemon = await temporaryDaemon(t);
  const digest = await put(daemon, "shared", "theirs");
  const longer = await open(daemon, "longer", { expected: digest });
  await drop(daemon, digest, "theirs");
  await longer.append(Buffer.from(" and more"));
  assert.deepEqual(await daemon.store.listBlobs(), []);
  await longer.commit({ total: 0, expected: sha256("shared and more"), labels: {} });
  await longer.close();
  const other = await open(daemon, "other", { namespace: "third", expected: sha256("shared and more") });
  await other.truncate();
  assert.equal(other.offset, 0);
  await other.close();
  const wrongSize = await open(daemon, "wrong", { namespace: "third", expected: sha256("shared and more"), total: 3 });
  assert.equal(wrongSize.offset, 0);
  await wrongSize.close();
});

test("abort ends the ingest under its writer, whose commit is NotFound", async (t) => {
  const daemon = await temporaryDaemon(t);
  const ingest = await open(daemon, "layer");
  await ingest.append(Buffer.from("hello"));
  await abortIngest(daemon, testOrigin("ns"), "layer", "test", () => []);
  await ingest.append(Buffer.from("more"));
  await assert.rejects(ingest.commit({ total: 0, expected: "", labels: {} }), classIs("NotFound"));
  await ingest.close();
  await assert.rejects(
    abortIngest(daemon, testOrigin("ns"), "layer", "test", () => []),
    classIs("NotFound"),
  );
  const next = await open(daemon, "layer");
  assert.equal(next.offset, 0);
  await next.close();
  assert.deepEqual(await daemon.store.listBlobs(), []);
});

test("bytes outlive a delete in one namespace while a commit in another is under way", async (t) => {
  const daemon = await temporaryDaemon(t);
  for (let round = 0; round < 20; round++) {
    const digest = await put(daemon, "x", "theirs");
    const ingest = await open(daemon, "layer");
    await ingest.append(Buffer.from("x"));
    await Promise.all([ingest.commit({ total: 0, expected: digest, labels: {} }), drop(daemon, digest, "theirs")]);
    await ingest.close();
    assert.equal((await stat(daemon.store.blobPath(digest))).size, 1);
    await drop(daemon, digest);
    assert.deepEqual(await daemon.store.listBlobs(), []);
  }
});

test("commits of one digest under many refs leave one link and no ingest", async (t) => {
  const daemon = await temporaryDaemon(t);
  const results = await Promise.allSettled(
    Array.from({ length: 10 }, async (_, index) => {
      const ingest = await open(daemon, `ref-${index}`);
      await ingest.append(Buffer.from("same"));
      try {
        await ingest.commit({ total: 0, expected: "", labels: {} });
      } finally {
        await ingest.close();
      }
    }),
  );
  assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
  for (const result of results) if (result.status === "rejected") assert.ok(classIs("AlreadyExists")(result.reason));
  assert.deepEqual([...daemon.ledger.view.ingests.all()], []);
  assert.equal(daemon.ledger.view.blobLinks(sha256("same")), 1);
});

/** The file operations from the opening of an ingest to after its commit, which a crash may come before. */
async function upload(daemon: Daemon): Promise<void> {
  const ingest = await open(daemon, "layer", { total: 10 });
  try {
    for (const byte of Buffer.from("helloworld").subarray(ingest.offset)) await ingest.append(Buffer.of(byte));
    await ingest.commit({ total: 10, expected: sha256("helloworld"), labels: {} });
  } finally {
    await ingest.close();
  }
}

test("upload can be repeated, and nothing is lost or left, whichever file operation fails before a restart", async (t) => {
  const operations: string[] = [];
  let recording = false;
  const observed = await temporaryDaemon(t, (operation) => recording && operations.push(operation));
  recording = true;
  await upload(observed);
  recording = false;
  assert.ok(operations.length > 10, "operations were seen");
  for (const [failing, operation] of operations.entries()) {
    let count = -Infinity;
    const root = await temporaryDirectory(t);
    // From the failing call on nothing reaches the disk any more: what is cleaned up after a failure is not cleaned up after a kill. A kill
    // does close descriptors.
    const dying = await start(root, (called) => {
      if (count++ >= failing && !called.endsWith(".close")) throw new Error("killed");
    });
    count = 0;
    await upload(dying).catch(() => {});
    await dying.opened.close();
    const daemon = await start(root);
    const { view } = daemon.ledger;
    const committed = view.blobs.get("ns", sha256("helloworld")) !== undefined;
    const where = `${operation}, call ${failing}`;
    assert.deepEqual(await daemon.store.listBlobs(), committed ? [sha256("helloworld")] : [], where);
    if (!committed) await upload(daemon);
    assert.deepEqual([...view.ingests.all()], [], where);
    assert.equal((await stat(daemon.store.blobPath(sha256("helloworld")))).size, 10, where);
    await daemon.opened.close();
  }
});
