/**
 * What a client of containerd.services.content.v1 may rely on. Each daemon that serves it passes; run against containerd itself, this file
 * says whether it is right about containerd.
 */
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { test } from "node:test";
import { content as wire, unixNanoFromTimestamp } from "../../src/wire/mod.ts";
import { codeOf, messageOf } from "../harness/grpc-client.ts";
import type { ServiceSubject } from "../harness/service-subject.ts";

const { STAT, WRITE, COMMIT } = wire.WriteAction;

export type ContentSubject = ServiceSubject<typeof wire.ContentDefinition>;

const sha256 = (bytes: Uint8Array | string) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** Namespaces and bytes that no other test has: one daemon serves them all, and shares content between namespaces. */
function fresh() {
  const id = randomUUID();
  return {
    namespace: `ns-${id}`,
    other: `other-${id}`,
    bytes: Buffer.from(`content ${id}`),
    digest: sha256(`content ${id}`),
  };
}

async function put(
  { client }: ContentSubject,
  namespace: string,
  bytes: Buffer,
  labels: Record<string, string> = {},
): Promise<string> {
  const stream = client.write({ namespace });
  const { digest } = await stream.exchange({ action: COMMIT, ref: `put-${sha256(bytes)}`, data: bytes, labels });
  return digest;
}

async function infos({ client }: ContentSubject, namespace: string, filters: string[] = []): Promise<wire.Info[]> {
  return (await Array.fromAsync(client.list({ filters }, { namespace }))).flatMap(({ info }) => info);
}

async function read(
  { client }: ContentSubject,
  namespace: string,
  digest: string,
  offset = 0,
  size = 0,
): Promise<Buffer> {
  const messages = client.read({ digest, offset: BigInt(offset), size: BigInt(size) }, { namespace });
  return Buffer.concat((await Array.fromAsync(messages)).map(({ data }) => data));
}

/** @param subject the daemon under test, started when it is first asked for */
export function contentServiceSuite(name: string, subject: () => ContentSubject): void {
  const check = (title: string, body: (subject: ContentSubject, names: ReturnType<typeof fresh>) => Promise<void>) =>
    test(`${name}: ${title}`, () => body(subject(), fresh()));

  check("committed content is told of and read when it is asked for", async (daemon, { namespace, bytes, digest }) => {
    const stream = daemon.client.write({ namespace });
    const half = bytes.length - 5;
    const size = BigInt(bytes.length);
    assert.equal((await stream.exchange({ action: STAT, ref: "r", total: size, expected: digest })).offset, 0n);
    assert.equal((await stream.exchange({ action: WRITE, data: bytes.subarray(0, half) })).offset, BigInt(half));
    const stat = await stream.exchange({ action: STAT });
    assert.deepEqual([stat.offset, stat.total, stat.digest], [BigInt(half), size, sha256(bytes.subarray(0, half))]);
    const last = await stream.exchange({
      action: COMMIT,
      offset: BigInt(half),
      total: size,
      expected: digest,
      data: bytes.subarray(half),
      labels: { kept: "yes", dropped: "" },
    });
    assert.deepEqual([last.offset, last.digest], [size, digest]);
    const { info } = await daemon.client.info({ digest }, { namespace });
    assert.deepEqual([info?.digest, info?.size, info?.labels], [digest, size, { kept: "yes" }]);
    assert.deepEqual(await read(daemon, namespace, digest), bytes);
    assert.deepEqual(
      (await infos(daemon, namespace)).map((listed) => listed.digest),
      [digest],
    );
    assert.deepEqual((await daemon.client.listStatuses({}, { namespace })).statuses, []);
  });

  check("calls are FailedPrecondition when they name no namespace", async ({ client }, { digest }) => {
    assert.equal(await codeOf(client.info({ digest }, {})), "FAILED_PRECONDITION");
    assert.equal(await codeOf(client.list({}, {})), "FAILED_PRECONDITION");
    assert.equal(await codeOf(client.delete({ digest }, {})), "FAILED_PRECONDITION");
    assert.equal(await codeOf(client.read({ digest }, {})), "FAILED_PRECONDITION");
    assert.equal(await codeOf(client.status({ ref: "r" }, {})), "FAILED_PRECONDITION");
    assert.equal(await codeOf(client.abort({ ref: "r" }, {})), "FAILED_PRECONDITION");
    assert.equal(await codeOf(client.write({}).exchange({ ref: "r" })), "FAILED_PRECONDITION");
  });

  check(
    "a digest that is none is InvalidArgument, one that is not there NotFound",
    async (daemon, { namespace, other, bytes, digest }) => {
      await put(daemon, other, bytes);
      const { client } = daemon;
      for (const [text, code] of [
        ["", "INVALID_ARGUMENT"],
        ["sha256:00", "INVALID_ARGUMENT"],
        ["../../etc/passwd", "INVALID_ARGUMENT"],
        [digest, "NOT_FOUND"],
      ] as const) {
        assert.equal(await codeOf(client.info({ digest: text }, { namespace })), code);
        assert.equal(await codeOf(client.update({ info: { digest: text } }, { namespace })), code);
        assert.equal(await codeOf(client.delete({ digest: text }, { namespace })), code);
        assert.equal(await codeOf(client.read({ digest: text }, { namespace })), code);
      }
      assert.equal(await messageOf(client.info({ digest }, { namespace })), `content digest ${digest}: not found`);
    },
  );

  check("a read gives the range that was asked for, and counts from its own start", async (daemon, { namespace }) => {
    const bytes = Buffer.alloc(2 * 1024 * 1024 + 100, randomUUID());
    const digest = await put(daemon, namespace, bytes);
    const messages = await Array.fromAsync(daemon.client.read({ digest, offset: 50n }, { namespace }));
    assert.deepEqual(
      messages.map(({ offset, data }) => [offset, data.length]),
      [
        [0n, 1024 * 1024],
        [BigInt(1024 * 1024), 1024 * 1024],
        [BigInt(2 * 1024 * 1024), 50],
      ],
    );
    assert.ok(Buffer.concat(messages.map(({ data }) => data)).equals(bytes.subarray(50)));
    assert.deepEqual(await read(daemon, namespace, digest, 10, 20), bytes.subarray(10, 30));
    assert.deepEqual(await read(daemon, namespace, digest, bytes.length - 3, 20), bytes.subarray(-3));
    assert.deepEqual(await read(daemon, namespace, digest, -7, 2), bytes.subarray(0, 2));
    assert.deepEqual(
      await Array.fromAsync(daemon.client.read({ digest, offset: BigInt(bytes.length) }, { namespace })),
      [],
    );
    assert.equal(
      await codeOf(daemon.client.read({ digest, offset: BigInt(bytes.length + 1) }, { namespace })),
      "OUT_OF_RANGE",
    );
  });

  check("labels change as the mask says, and nothing else does", async (daemon, { namespace, bytes }) => {
    const digest = await put(daemon, namespace, bytes, { a: "1", b: "2" });
    const update = async (labels: Record<string, string>, updateMask?: string[]) =>
      (
        await daemon.client.update(
          { info: { digest, size: 1n, labels }, ...(updateMask && { updateMask }) },
          { namespace },
        )
      ).info;
    assert.deepEqual((await update({ a: "3", c: "4" }, ["labels.a", "labels.x.y/z"]))?.labels, { a: "3", b: "2" });
    assert.deepEqual((await update({ "x.y/z": "5" }, ["labels.b", "labels.x.y/z"]))?.labels, { a: "3", "x.y/z": "5" });
    assert.deepEqual((await update({ only: "6", none: "" }, ["labels"]))?.labels, { only: "6" });
    const last = await update({ all: "7" });
    assert.deepEqual([last?.labels, last?.size], [{ all: "7" }, BigInt(bytes.length)]);
    assert.ok(unixNanoFromTimestamp(last?.updatedAt)! > unixNanoFromTimestamp(last?.createdAt)!);
    assert.deepEqual((await daemon.client.info({ digest }, { namespace })).info?.labels, { all: "7" });
    assert.equal(await codeOf(update({}, ["size"])), "INVALID_ARGUMENT");
    assert.equal(await codeOf(update({ long: "x".repeat(4096) })), "INVALID_ARGUMENT");
  });

  check("a list is filtered by digest and labels, in messages of at most 100", async (daemon, { namespace, bytes }) => {
    for (let index = 0; index < 101; index++) {
      await put(daemon, namespace, Buffer.from(`${bytes} ${index}`), {
        index: String(index),
        "a.b/c": index % 2 === 0 ? "even" : "odd",
      });
    }
    const messages = await Array.fromAsync(daemon.client.list({}, { namespace }));
    assert.deepEqual(
      messages.map(({ info }) => info.length),
      [100, 1],
    );
    const digests = messages.flatMap(({ info }) => info.map(({ digest }) => digest));
    assert.deepEqual(digests, digests.toSorted());
    assert.equal((await infos(daemon, namespace, ['labels."a.b/c"==even'])).length, 51);
    assert.equal((await infos(daemon, namespace, ["labels.index==7,labels.a", `digest==${digests[0]}`])).length, 1);
    assert.equal((await infos(daemon, namespace, ["size==3"])).length, 0);
    assert.equal(await codeOf(daemon.client.list({ filters: ["digest="] }, { namespace })), "INVALID_ARGUMENT");
  });

  check("a delete ends this namespace's link only", async (daemon, { namespace, other, bytes, digest }) => {
    await put(daemon, namespace, bytes);
    await put(daemon, other, bytes);
    await daemon.client.delete({ digest }, { namespace });
    assert.equal(await codeOf(daemon.client.info({ digest }, { namespace })), "NOT_FOUND");
    assert.equal(await codeOf(daemon.client.delete({ digest }, { namespace })), "NOT_FOUND");
    assert.deepEqual(await read(daemon, other, digest), bytes);
  });

  check("a stream is InvalidArgument when its first message has no ref", async ({ client }, { namespace }) => {
    const stream = client.write({ namespace });
    const reply = stream.exchange({ action: STAT });
    assert.equal(await codeOf(reply), "INVALID_ARGUMENT");
    assert.match(await messageOf(reply), /first message must have a reference/);
  });

  check(
    "a ref is Unavailable while a stream has it, and free when that ends or is cancelled",
    async ({ client }, { namespace, other }) => {
      const holder = client.write({ namespace });
      await holder.exchange({ action: WRITE, ref: "r", data: Buffer.from("kept") });
      const locked = client.write({ namespace }).exchange({ ref: "r" });
      assert.equal(await codeOf(locked), "UNAVAILABLE");
      assert.match(await messageOf(locked), /locked for/);
      const elsewhere = client.write({ namespace: other });
      assert.equal((await elsewhere.exchange({ ref: "r" })).offset, 0n);
      elsewhere.end();
      holder.cancel();
      const next = client.write({ namespace });
      assert.equal((await next.exchange({ ref: "r" })).offset, 4n);
      next.end();
      const last = client.write({ namespace });
      assert.equal((await last.exchange({ ref: "r" })).offset, 4n);
      last.end();
    },
  );

  check("a stream goes on where the one before it ended", async ({ client }, { namespace, bytes, digest }) => {
    const total = BigInt(bytes.length);
    const first = client.write({ namespace });
    await first.exchange({ action: WRITE, ref: "r", total, data: bytes.subarray(0, 10) });
    first.end();
    const second = client.write({ namespace });
    const stat = await second.exchange({ action: STAT, ref: "r", total });
    assert.deepEqual([stat.offset, stat.digest], [10n, sha256(bytes.subarray(0, 10))]);
    const { status } = await client.status({ ref: "r" }, { namespace });
    assert.deepEqual([status?.ref, status?.offset, status?.total], ["r", 10n, total]);
    assert.ok(unixNanoFromTimestamp(status?.startedAt)! <= unixNanoFromTimestamp(status?.updatedAt)!);
    const end = await second.exchange({ action: COMMIT, offset: 10n, data: bytes.subarray(10), expected: digest });
    assert.equal(end.digest, digest);
  });

  check("a stream starts over when it announces another total", async ({ client }, { namespace }) => {
    const first = client.write({ namespace });
    await first.exchange({ action: WRITE, ref: "r", total: 20n, data: Buffer.from("0123456789") });
    first.end();
    const second = client.write({ namespace });
    assert.equal((await second.exchange({ action: STAT, ref: "r", total: 21n })).offset, 0n);
    second.end();
  });

  check("a write at another offset is OutOfRange and takes nothing", async ({ client }, { namespace }) => {
    const stream = client.write({ namespace });
    await stream.exchange({ action: WRITE, ref: "r", data: Buffer.from("12345") });
    assert.equal(await codeOf(stream.exchange({ action: WRITE, offset: 4n, data: Buffer.from("x") })), "OUT_OF_RANGE");
    assert.equal((await client.status({ ref: "r" }, { namespace })).status?.offset, 5n);
  });

  check("a write at offset 0 starts over", async ({ client }, { namespace, bytes, digest }) => {
    const stream = client.write({ namespace });
    await stream.exchange({
      action: WRITE,
      ref: "r",
      data: Buffer.from("wrong from the start, and longer than what comes after it"),
    });
    const again = await stream.exchange({ action: WRITE, offset: 0n, data: bytes });
    assert.deepEqual([again.offset, again.digest], [BigInt(bytes.length), digest]);
    await stream.exchange({ action: COMMIT, offset: again.offset, expected: digest, total: again.offset });
    assert.equal((await client.info({ digest }, { namespace })).info?.size, BigInt(bytes.length));
  });

  for (const [what, request] of [
    ["size", { total: 3n }],
    ["digest", { expected: sha256("something else") }],
    ["label", { labels: { long: "x".repeat(4096) } }],
  ] as const) {
    check(
      `a commit with a wrong ${what} is refused and keeps the bytes`,
      async ({ client }, { namespace, bytes, digest }) => {
        const stream = client.write({ namespace });
        const refused = stream.exchange({ action: COMMIT, ref: "r", data: bytes, ...request });
        assert.equal(await codeOf(refused), what === "label" ? "INVALID_ARGUMENT" : "FAILED_PRECONDITION");
        assert.equal((await client.status({ ref: "r" }, { namespace })).status?.offset, BigInt(bytes.length));
        const again = client.write({ namespace });
        const end = await again.exchange({ action: COMMIT, ref: "r", offset: BigInt(bytes.length), expected: digest });
        assert.equal(end.digest, digest);
      },
    );
  }

  check(
    "content that is there is AlreadyExists when a stream begins with it, and the ref stays free",
    async (daemon, { namespace, bytes, digest }) => {
      await put(daemon, namespace, bytes);
      const stream = daemon.client.write({ namespace });
      assert.equal(await codeOf(stream.exchange({ ref: "r", expected: digest })), "ALREADY_EXISTS");
      assert.equal(await codeOf(daemon.client.status({ ref: "r" }, { namespace })), "NOT_FOUND");
    },
  );

  check(
    "content that came meanwhile is AlreadyExists, by announcement and by commit, and ends the ingest",
    async (daemon, { namespace, bytes, digest }) => {
      const announcing = daemon.client.write({ namespace });
      await announcing.exchange({ action: WRITE, ref: "announcing", data: bytes });
      const silent = daemon.client.write({ namespace });
      await silent.exchange({ action: WRITE, ref: "silent", data: bytes });
      await put(daemon, namespace, bytes);
      const offset = BigInt(bytes.length);
      assert.equal(await codeOf(announcing.exchange({ action: WRITE, offset, expected: digest })), "ALREADY_EXISTS");
      assert.equal(await codeOf(silent.exchange({ action: COMMIT, offset })), "ALREADY_EXISTS");
      assert.deepEqual((await daemon.client.listStatuses({}, { namespace })).statuses, []);
    },
  );

  check(
    "content of another namespace needs no upload when its digest and size are known",
    async (daemon, { namespace, other, bytes, digest }) => {
      await put(daemon, other, bytes);
      const size = BigInt(bytes.length);
      const stream = daemon.client.write({ namespace });
      const stat = await stream.exchange({ action: STAT, ref: "r", expected: digest, total: size });
      assert.deepEqual([stat.offset, stat.digest], [size, digest]);
      // There is nothing of this ingest's own to tell about.
      assert.equal(await codeOf(daemon.client.status({ ref: "r" }, { namespace })), "NOT_FOUND");
      assert.deepEqual((await daemon.client.listStatuses({}, { namespace })).statuses, []);
      await stream.exchange({ action: COMMIT, offset: size, expected: digest, total: size });
      assert.deepEqual(await read(daemon, namespace, digest), bytes);
    },
  );

  check(
    "content of another namespace is a start for longer content",
    async (daemon, { namespace, other, bytes, digest }) => {
      await put(daemon, other, bytes);
      const longer = Buffer.concat([bytes, Buffer.from(" and more")]);
      const stream = daemon.client.write({ namespace });
      await stream.exchange({ action: STAT, ref: "r", expected: digest });
      const written = await stream.exchange({
        action: WRITE,
        offset: BigInt(bytes.length),
        data: Buffer.from(" and more"),
      });
      assert.deepEqual([written.offset, written.digest], [BigInt(longer.length), sha256(longer)]);
      stream.end();
      const restarted = daemon.client.write({ namespace });
      await restarted.exchange({ action: STAT, ref: "r2", expected: digest });
      const from = await restarted.exchange({ action: WRITE, offset: 0n, data: Buffer.from("x") });
      assert.deepEqual([from.offset, from.digest], [1n, sha256("x")]);
      restarted.end();
    },
  );

  check("ingests are listed by ref, and gone when they are aborted", async ({ client }, { namespace }) => {
    for (const ref of ["layer-1", "layer-2", "config"]) {
      const stream = client.write({ namespace });
      await stream.exchange({ action: WRITE, ref, data: Buffer.from(ref) });
      stream.end();
    }
    const refs = async (...filters: string[]) =>
      (await client.listStatuses({ filters }, { namespace })).statuses.map(({ ref }) => ref).toSorted();
    assert.deepEqual(await refs(), ["config", "layer-1", "layer-2"]);
    assert.deepEqual(await refs("ref~=^layer-"), ["layer-1", "layer-2"]);
    assert.deepEqual(await refs("ref==config", "ref==layer-2"), ["config", "layer-2"]);
    assert.equal(await codeOf(client.listStatuses({ filters: ["ref="] }, { namespace })), "INVALID_ARGUMENT");
    await client.abort({ ref: "layer-1" }, { namespace });
    assert.equal(await codeOf(client.abort({ ref: "layer-1" }, { namespace })), "NOT_FOUND");
    assert.equal(await codeOf(client.status({ ref: "layer-1" }, { namespace })), "NOT_FOUND");
    assert.equal(
      await messageOf(client.status({ ref: "layer-1" }, { namespace })),
      'could not get status for ref "layer-1": reference layer-1: not found',
    );
    assert.deepEqual(await refs(), ["config", "layer-2"]);
  });

  check(
    "a lease holds an ingest and then its content, also content that was there",
    async (daemon, { namespace, bytes, digest }) => {
      const { client } = daemon;
      for (const lease of ["first", "second", "third"]) await daemon.createLease(namespace, lease);
      const stream = client.write({ namespace, lease: "first" });
      await stream.exchange({ action: WRITE, ref: "r", data: bytes });
      assert.deepEqual(await daemon.heldBy(namespace, "first"), ["ingests r"]);
      await stream.exchange({ action: COMMIT, offset: BigInt(bytes.length) });
      assert.deepEqual(await daemon.heldBy(namespace, "first"), [`content ${digest}`]);
      assert.equal(
        await codeOf(client.write({ namespace, lease: "second" }).exchange({ ref: "r", expected: digest })),
        "ALREADY_EXISTS",
      );
      assert.deepEqual(await daemon.heldBy(namespace, "second"), [`content ${digest}`]);
      const late = client.write({ namespace, lease: "third" });
      assert.equal(await codeOf(late.exchange({ action: COMMIT, ref: "late", data: bytes })), "ALREADY_EXISTS");
      assert.deepEqual(await daemon.heldBy(namespace, "third"), [`content ${digest}`]);
      await client.delete({ digest }, { namespace, lease: "third" });
      assert.deepEqual(await daemon.heldBy(namespace, "third"), []);
    },
  );

  check("a stream under an unknown lease is NotFound and leaves no ingest", async ({ client }, { namespace }) => {
    const stream = client.write({ namespace, lease: "nobody" });
    const refused = stream.exchange({ action: WRITE, ref: "r", data: Buffer.from("x") });
    assert.equal(await codeOf(refused), "NOT_FOUND");
    assert.match(await messageOf(refused), /lease does not exist/);
    assert.equal(await codeOf(client.status({ ref: "r" }, { namespace })), "NOT_FOUND");
  });

  check("an empty blob is content too", async (daemon, { namespace }) => {
    const stream = daemon.client.write({ namespace });
    assert.equal((await stream.exchange({ action: COMMIT, ref: "r" })).digest, sha256(""));
    assert.deepEqual(await read(daemon, namespace, sha256("")), Buffer.alloc(0));
  });
}
