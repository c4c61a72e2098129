import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { ContentStore } from "../../src/content/mod.ts";
import { Files } from "../../src/platform/mod.ts";
import { temporaryDirectory } from "../harness/temporary.ts";

const sha256 = (bytes: Uint8Array | string) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const content = "io.containerd.content.v1.content";

async function openStore(t: TestContext, hook?: (operation: string) => void) {
  const root = await temporaryDirectory(t);
  const store = new ContentStore({ root, files: new Files(hook), ...(hook === undefined ? {} : { hook }) });
  await store.open();
  return { root, store };
}

async function collect(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(pieces));
}

async function put(store: ContentStore, bytes: Buffer): Promise<string> {
  const writer = await store.openWriter("ns", "put", "sha256", true);
  await writer.append(bytes);
  const { digest } = writer;
  await store.withDigest(digest, () => store.place(writer, digest));
  await writer.close();
  await store.removeIngest("ns", "put");
  return digest;
}

test("writer continues where the bytes end, with the digest of all of them, when it is opened again", async (t) => {
  const { root, store } = await openStore(t);
  const first = await store.openWriter("ns", "ref", "sha256", true);
  await first.append(Buffer.from("hello "));
  await first.close();
  const [directory] = await readdir(join(root, content, "ingest"));
  // A machine that went down may have kept fewer bytes than were written.
  await truncate(join(root, content, "ingest", directory!, "data"), 3);
  const second = await store.openWriter("ns", "ref", "sha256", false);
  assert.equal(second.offset, 3);
  assert.equal(second.digest, sha256("hel"));
  await second.append(Buffer.from("p"));
  assert.equal(second.digest, sha256("help"));
  assert.equal(await second.digestBy("sha512"), `sha512:${createHash("sha512").update("help").digest("hex")}`);
  await second.truncate();
  assert.equal(second.digest, sha256(""));
  await second.close();
  assert.equal((await store.progress("ns", "ref"))?.offset, 0);
  assert.equal(await readFile(join(root, content, "ingest", directory!, "ref"), "utf8"), "ns/ref");
});

test("writer gives the same digest whatever the pieces and wherever it is resumed", async (t) => {
  const { store } = await openStore(t);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }),
      fc.infiniteStream(fc.boolean()),
      async (pieces, resume) => {
        let writer = await store.openWriter("ns", "ref", "sha384", true);
        for (const piece of pieces) {
          await writer.append(piece);
          if (!resume.next().value) continue;
          await writer.close();
          writer = await store.openWriter("ns", "ref", "sha384", false);
        }
        const whole = Buffer.concat(pieces);
        assert.equal(writer.offset, whole.length);
        assert.equal(writer.digest, `sha384:${createHash("sha384").update(whole).digest("hex")}`);
        await writer.close();
      },
    ),
    { numRuns: 30 },
  );
});

test("blob is read only and at its containerd path when it has been placed", async (t) => {
  const { root, store } = await openStore(t);
  const bytes = Buffer.from("a layer");
  const digest = await put(store, bytes);
  const path = join(root, content, "blobs", "sha256", digest.slice("sha256:".length));
  assert.deepEqual(await readFile(path), bytes);
  assert.equal((await stat(path)).mode & 0o777, 0o444);
  assert.deepEqual(await store.listBlobs(), [digest]);
  assert.deepEqual(await readdir(join(root, content, "ingest")), []);
});

test("ingest keeps its bytes when the placed blob is taken away again", async (t) => {
  const { store } = await openStore(t);
  const writer = await store.openWriter("ns", "ref", "sha256", true);
  await writer.append(Buffer.from("bytes"));
  await store.place(writer, writer.digest);
  await store.removeBlob(writer.digest, async () => true);
  await writer.append(Buffer.from(" and more"));
  await writer.close();
  const again = await store.openWriter("ns", "ref", "sha256", false);
  assert.equal(again.digest, sha256("bytes and more"));
  await again.close();
});

test("blob is read in pieces of at most 1 MiB, from any offset, to any length", async (t) => {
  const { store } = await openStore(t);
  const bytes = Buffer.alloc(2 * 1024 * 1024 + 17, "abcdefghijk");
  const digest = await put(store, bytes);
  const pieces = await Array.fromAsync(store.read(digest, 0, bytes.length));
  assert.deepEqual(
    pieces.map((piece) => piece.length),
    [1024 * 1024, 1024 * 1024, 17],
  );
  assert.deepEqual(Buffer.concat(pieces), bytes);
  assert.deepEqual(
    await collect(store.read(digest, 1024 * 1024 - 1, 5)),
    bytes.subarray(1024 * 1024 - 1, 1024 * 1024 + 4),
  );
  assert.deepEqual(await collect(store.read(digest, bytes.length - 2, 100)), bytes.subarray(-2));
  assert.deepEqual(await collect(store.read(digest, 5, 0)), Buffer.alloc(0));
});

test("blob stays when it is linked or pinned, and goes when it is neither", async (t) => {
  const { store } = await openStore(t);
  const digest = await put(store, Buffer.from("x"));
  await store.removeBlob(digest, async () => false);
  assert.equal(await store.pin(digest), 1);
  assert.equal(await store.pin(digest), 1);
  store.unpin(digest);
  await store.removeBlob(digest, async () => true);
  assert.deepEqual(await store.listBlobs(), [digest]);
  store.unpin(digest);
  await store.removeBlob(digest, async () => true);
  assert.deepEqual(await store.listBlobs(), []);
  assert.equal(await store.pin(digest), undefined);
});

test("removal waits for the task that has the digest, and asks for links after it", async (t) => {
  const { store } = await openStore(t);
  const digest = await put(store, Buffer.from("x"));
  let links = 0;
  const committing = Promise.withResolvers<void>();
  const commit = store.withDigest(digest, async () => {
    await committing.promise;
    links = 1;
  });
  const removal = store.removeBlob(digest, async () => links === 0);
  committing.resolve();
  await Promise.all([commit, removal]);
  assert.deepEqual(await store.listBlobs(), [digest]);
});

test("sweep removes what the tables do not know and gives open ingests their files again", async (t) => {
  const { root, store } = await openStore(t);
  const linked = await put(store, Buffer.from("linked"));
  await put(store, Buffer.from("stray"));
  await writeFile(join(root, content, "blobs", "sha256", "garbage.tmp"), "");
  for (const ref of ["open", "stray"]) {
    const writer = await store.openWriter("ns", ref, "sha256", true);
    await writer.append(Buffer.from(ref));
    await writer.close();
  }
  await mkdir(join(root, content, "ingest", "half-made"));
  const open = [
    { namespace: "ns", ref: "open" },
    { namespace: "ns", ref: "lost in a power cut" },
  ];
  assert.deepEqual(await store.sweep(new Set([linked]), open), { blobs: 2, ingests: 2 });
  assert.deepEqual(await store.listBlobs(), [linked]);
  assert.equal((await store.progress("ns", "open"))?.offset, 4);
  assert.equal((await store.progress("ns", "lost in a power cut"))?.offset, 0);
  assert.equal(await store.progress("ns", "stray"), undefined);
  assert.deepEqual(await store.sweep(new Set([linked]), open), { blobs: 0, ingests: 0 });
});

test("writer's failure leaves bytes that the next one resumes when a write is refused", async (t) => {
  let refuse = false;
  const { store } = await openStore(t, (operation) => {
    if (refuse && operation === "content.ingest.write") throw new Error("no space");
  });
  const writer = await store.openWriter("ns", "ref", "sha256", true);
  await writer.append(Buffer.from("kept"));
  refuse = true;
  await assert.rejects(writer.append(Buffer.from("lost")), /no space/);
  refuse = false;
  await writer.close();
  const again = await store.openWriter("ns", "ref", "sha256", false);
  assert.equal(again.digest, sha256("kept"));
  await again.close();
});
