import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { content, namespaces } from "../../src/wire/mod.ts";
import { startApi } from "../harness/api-server.ts";
import { codeOf, serviceClient } from "../harness/grpc-client.ts";
import { testOrigin } from "../harness/ledger.ts";
import { onBothDaemons } from "../harness/service-subject.ts";
import { temporaryDirectory } from "../harness/temporary.ts";
import { contentServiceSuite } from "../suites/content-service.ts";

onBothDaemons("content", content.ContentDefinition, contentServiceSuite);

const { STAT, WRITE, COMMIT } = content.WriteAction;
const sha256 = (bytes: Uint8Array | string) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const namespace = "ns";

/** A server and a client of a test's own. */
async function start(t: TestContext, root: string, hook?: (operation: string) => void) {
  const api = await startApi(root, hook);
  const client = serviceClient(content.ContentDefinition, api.socket);
  const close = async () => {
    client.close();
    await api.close();
  };
  t.after(close);
  return { api, client, close };
}

test("an expected digest that is none is InvalidArgument and leaves no trace", async (t) => {
  const { api, client } = await start(t, await temporaryDirectory(t));
  for (const expected of ["sha256:00", "nonsense", `md5:${"0".repeat(32)}`]) {
    assert.equal(
      await codeOf(client.write({ namespace }).exchange({ action: WRITE, ref: "r", expected, data: Buffer.from("x") })),
      "INVALID_ARGUMENT",
    );
  }
  assert.equal(api.ledger.view.next, 0);
  const stream = client.write({ namespace });
  await stream.exchange({ action: WRITE, ref: "r", data: Buffer.from("x") });
  assert.equal(
    await codeOf(stream.exchange({ action: COMMIT, offset: 1n, expected: "sha256:00" })),
    "INVALID_ARGUMENT",
  );
  assert.equal((await client.status({ ref: "r" }, { namespace })).status?.offset, 1n);
});

test("content is committed under the algorithm that its expected digest names", async (t) => {
  const { client } = await start(t, await temporaryDirectory(t));
  const sha512 = (text: string) => `sha512:${createHash("sha512").update(text).digest("hex")}`;
  const early = client.write({ namespace });
  assert.equal((await early.exchange({ action: STAT, ref: "early", expected: sha512("early") })).digest, sha512(""));
  assert.equal((await early.exchange({ action: COMMIT, data: Buffer.from("early") })).digest, sha512("early"));
  const late = client.write({ namespace });
  await late.exchange({ action: WRITE, ref: "late", data: Buffer.from("late") });
  await late.exchange({ action: COMMIT, offset: 4n, expected: sha512("late") });
  assert.equal((await client.info({ digest: sha512("late") }, { namespace })).info?.size, 4n);
});

test("an upload goes on after a restart, and what was committed before is there", async (t) => {
  const root = await temporaryDirectory(t);
  const first = await start(t, root);
  await first.client.write({ namespace }).exchange({ action: COMMIT, ref: "done", data: Buffer.from("done") });
  const open = first.client.write({ namespace });
  await open.exchange({ action: WRITE, ref: "open", total: 10n, data: Buffer.from("hello") });
  const broken = open.next();
  await Promise.all([codeOf(broken), first.close()]);
  const second = await start(t, root);
  assert.equal((await second.client.info({ digest: sha256("done") }, { namespace })).info?.size, 4n);
  const resumed = second.client.write({ namespace });
  const stat = await resumed.exchange({ action: STAT, ref: "open", total: 10n });
  assert.deepEqual([stat.offset, stat.digest], [5n, sha256("hello")]);
  await resumed.exchange({
    action: COMMIT,
    offset: 5n,
    total: 10n,
    data: Buffer.from("world"),
    expected: sha256("helloworld"),
  });
});

test("a reply tells the position that it stands on", async (t) => {
  const { api, client } = await start(t, await temporaryDirectory(t));
  const positions: (string | undefined)[] = [];
  const position = (told: string | undefined) => positions.push(told);
  await client.write({ namespace, position }).exchange({ action: COMMIT, ref: "r", data: Buffer.from("x") });
  const digest = sha256("x");
  await client.info({ digest }, { namespace, position });
  await client.delete({ digest }, { namespace, position });
  await Array.fromAsync(client.list({}, { namespace, position }));
  const { next } = api.ledger.view;
  // Namespace and ingest; the ingest's end and the blob; the delete.
  assert.deepEqual([positions, next], [["2", "4", "5", "5"], 5]);
});

test("a deleted blob's bytes go with its last link", async (t) => {
  const { api, client } = await start(t, await temporaryDirectory(t));
  for (const name of ["one", "two"]) {
    await client.write({ namespace: name }).exchange({ action: COMMIT, ref: "r", data: Buffer.from("x") });
  }
  const digest = sha256("x");
  await client.delete({ digest }, { namespace: "one" });
  assert.equal((await stat(api.store.blobPath(digest))).size, 1);
  await client.delete({ digest }, { namespace: "two" });
  await assert.rejects(stat(api.store.blobPath(digest)), { code: "ENOENT" });
});

test("64 MiB go in and come out in pieces, no further ahead of a client than a few", async (t) => {
  let reads = 0;
  const { client } = await start(t, await temporaryDirectory(t), (operation) => {
    if (operation === "content.blob.read") reads++;
  });
  const chunk = randomBytes(1024 * 1024);
  const hash = createHash("sha256");
  const stream = client.write({ namespace });
  for (let sent = 0; sent < 64; sent++) {
    chunk[0] = sent;
    hash.update(chunk);
    const { offset } = await stream.exchange({
      action: WRITE,
      ref: "big",
      offset: BigInt(sent * chunk.length),
      data: chunk,
    });
    assert.equal(offset, BigInt((sent + 1) * chunk.length));
  }
  const digest = `sha256:${hash.digest("hex")}`;
  await stream.exchange({ action: COMMIT, offset: BigInt(64 * chunk.length), expected: digest });
  const received = createHash("sha256");
  let messages = 0;
  let ahead = 0;
  for await (const { data } of client.read({ digest }, { namespace })) {
    received.update(data);
    messages++;
    ahead = Math.max(ahead, reads - messages);
  }
  assert.deepEqual([`sha256:${received.digest("hex")}`, messages], [digest, 64]);
  assert.ok(ahead < 32, `the server read ${ahead} pieces ahead`);
});

test("a ref is free when its client's connection breaks", async (t) => {
  const { client, api } = await start(t, await temporaryDirectory(t));
  const other = serviceClient(content.ContentDefinition, api.socket);
  const stream = other.write({ namespace });
  await stream.exchange({ action: WRITE, ref: "r", data: Buffer.from("kept") });
  const broken = stream.next();
  other.close();
  stream.cancel();
  await codeOf(broken);
  assert.equal((await client.write({ namespace }).exchange({ ref: "r" })).offset, 4n);
});

test("content of another namespace has to be uploaded again where it is isolated, unless that namespace is shareable", async (t) => {
  const api = await startApi(await temporaryDirectory(t), undefined, "isolated");
  const client = serviceClient(content.ContentDefinition, api.socket);
  t.after(async () => {
    client.close();
    await api.close();
  });
  const bytes = randomBytes(100);
  const [expected, total] = [sha256(bytes), 100n];
  await client.write({ namespace: "source" }).exchange({ action: COMMIT, ref: "r", data: bytes });
  const offset = async (ref: string) => {
    const stream = client.write({ namespace });
    const reply = await stream.exchange({ action: STAT, ref, expected, total });
    stream.end();
    return reply.offset;
  };
  assert.equal(await offset("isolated"), 0n);
  assert.equal(
    await codeOf(client.write({ namespace }).exchange({ action: COMMIT, ref: "empty", expected, total })),
    "FAILED_PRECONDITION",
  );
  const labels = { "containerd.io/namespace.shareable": "true" };
  await api.ledger.transact(testOrigin("source"), () => [
    {
      kind: "namespace",
      key: "source",
      command: { type: "UpdateNamespace", name: "source", labels, requested: labels },
    },
  ]);
  assert.equal(await offset("shareable"), 100n);
});

test("the bytes of what is being written go with the namespace, and no other's", async (t) => {
  const root = await temporaryDirectory(t);
  const { api, client } = await start(t, root);
  const spaces = serviceClient(namespaces.NamespacesDefinition, api.socket);
  t.after(() => spaces.close());
  const streams = ["gone", "kept"].map((namespace) => client.write({ namespace }));
  for (const stream of streams) await stream.exchange({ action: WRITE, ref: "r", data: Buffer.from("part") });
  const ingests = () => readdir(join(root, "io.containerd.content.v1.content", "ingest"));
  assert.equal((await ingests()).length, 2);
  await spaces.delete({ name: "gone" }, {});
  assert.equal((await ingests()).length, 1);
  const [gone, kept] = streams;
  assert.equal(await codeOf(gone!.exchange({ action: COMMIT, offset: 4n })), "NOT_FOUND");
  await kept!.exchange({ action: COMMIT, offset: 4n });
  assert.deepEqual([api.faults, api.leftovers], [[], []]);
});
