/**
 * What a client of containerd.services.snapshots.v1 may rely on, with any snapshotter that keeps plain directories. Each daemon that serves it
 * passes; run against containerd itself, this file says whether it is right about containerd.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { type Mount, unixNanoFromTimestamp, snapshots as wire } from "../../src/wire/mod.ts";
import { codeOf, messageOf } from "../harness/grpc-client.ts";
import type { ServiceSubject } from "../harness/service-subject.ts";

export type SnapshotsSubject = ServiceSubject<typeof wire.SnapshotsDefinition>;

/** Where an active snapshot's own content is written without mounting it. */
export function contentDirectory(mounts: readonly Mount[]): string {
  const { source, options } = mounts[0]!;
  const upper = options.find((option) => option.startsWith("upperdir="));
  return upper === undefined ? source : upper.slice("upperdir=".length);
}

/** @param subject the daemon under test, started when it is first asked for */
export function snapshotsServiceSuite(name: string, snapshotter: string, subject: () => SnapshotsSubject): void {
  const check = (title: string, body: (client: SnapshotsSubject["client"], namespace: string) => Promise<void>) =>
    test(`${name}, ${snapshotter}: ${title}`, () => body(subject().client, `ns-${randomUUID()}`));

  const stat = async (client: SnapshotsSubject["client"], namespace: string, key: string) =>
    (await client.stat({ snapshotter, key }, { namespace })).info!;

  const list = async (client: SnapshotsSubject["client"], namespace: string, ...filters: string[]) =>
    (await Array.fromAsync(client.list({ snapshotter, filters }, { namespace })))
      .flatMap(({ info }) => info)
      .map(({ name: listed }) => listed);

  check("a snapshot is prepared, written, committed and built on", async (client, namespace) => {
    const { mounts } = await client.prepare({ snapshotter, key: "work", labels: { a: "1", none: "" } }, { namespace });
    assert.deepEqual((await client.mounts({ snapshotter, key: "work" }, { namespace })).mounts, mounts);
    const active = await stat(client, namespace, "work");
    assert.deepEqual(
      [active.name, active.kind, active.parent, active.labels],
      ["work", wire.Kind.ACTIVE, "", { a: "1" }],
    );
    await writeFile(join(contentDirectory(mounts), "file"), Buffer.alloc(100_000, "x"));
    const usage = await client.usage({ snapshotter, key: "work" }, { namespace });
    assert.ok(usage.size >= 100_000n && usage.inodes >= 2n, `${usage.size} bytes, ${usage.inodes} inodes`);
    await client.commit({ snapshotter, key: "work", name: "layer", labels: { b: "2" } }, { namespace });
    assert.equal(await codeOf(client.stat({ snapshotter, key: "work" }, { namespace })), "NOT_FOUND");
    const committed = await stat(client, namespace, "layer");
    assert.deepEqual([committed.kind, committed.parent, committed.labels], [wire.Kind.COMMITTED, "", { b: "2" }]);
    assert.deepEqual(await client.usage({ snapshotter, key: "layer" }, { namespace }), usage);
    const child = await client.prepare({ snapshotter, key: "child", parent: "layer" }, { namespace });
    assert.equal(child.mounts.length, 1);
    assert.equal((await stat(client, namespace, "child")).parent, "layer");
    const view = await client.view({ snapshotter, key: "look", parent: "layer" }, { namespace });
    assert.ok(view.mounts.every(({ type, options }) => type === "overlay" || options.includes("ro")));
    assert.equal((await stat(client, namespace, "look")).kind, wire.Kind.VIEW);
  });

  check("a snapshot is not prepared when its target is there", async (client, namespace) => {
    const labels = { "containerd.io/snapshot.ref": "target", other: "kept" };
    await client.prepare({ snapshotter, key: "first", labels }, { namespace });
    const { info } = await client.stat({ snapshotter, key: "first" }, { namespace });
    assert.deepEqual(info?.labels, labels);
    await client.prepare({ snapshotter, key: "second", labels }, { namespace });
    await client.commit({ snapshotter, key: "first", name: "target" }, { namespace });
    for (const make of [client.prepare, client.view]) {
      const again = make({ snapshotter, key: "third", labels }, { namespace });
      assert.equal(await codeOf(again), "ALREADY_EXISTS");
      assert.equal(await messageOf(again), 'target snapshot "target": already exists');
    }
    assert.equal(await codeOf(client.stat({ snapshotter, key: "third" }, { namespace })), "NOT_FOUND");
    const elsewhere = { namespace: `${namespace}-other` };
    await client.prepare({ snapshotter, key: "third", labels }, elsewhere);
  });

  check("a snapshotter that is not there is InvalidArgument", async (client, namespace) => {
    for (const [unknown, message] of [
      ["", "snapshotter argument missing: invalid argument"],
      ["zfs-of-mine", "snapshotter not loaded: zfs-of-mine: invalid argument"],
    ] as const) {
      assert.equal(await messageOf(client.prepare({ snapshotter: unknown, key: "k" }, { namespace })), message);
      const calls: (Promise<unknown> | AsyncIterable<unknown>)[] = [
        client.view({ snapshotter: unknown, key: "k" }, { namespace }),
        client.mounts({ snapshotter: unknown, key: "k" }, { namespace }),
        client.commit({ snapshotter: unknown, key: "k", name: "n" }, { namespace }),
        client.remove({ snapshotter: unknown, key: "k" }, { namespace }),
        client.stat({ snapshotter: unknown, key: "k" }, { namespace }),
        client.update({ snapshotter: unknown, info: { name: "k" } }, { namespace }),
        client.list({ snapshotter: unknown }, { namespace }),
        client.usage({ snapshotter: unknown, key: "k" }, { namespace }),
      ];
      assert.deepEqual(
        await Promise.all(calls.map(codeOf)),
        calls.map(() => "INVALID_ARGUMENT"),
      );
    }
  });

  check("calls are FailedPrecondition when they name no namespace", async (client) => {
    assert.equal(await codeOf(client.prepare({ snapshotter, key: "k" }, {})), "FAILED_PRECONDITION");
    assert.equal(await codeOf(client.stat({ snapshotter, key: "k" }, {})), "FAILED_PRECONDITION");
    assert.equal(await codeOf(client.remove({ snapshotter, key: "k" }, {})), "FAILED_PRECONDITION");
  });

  check("a snapshot that is not there is NotFound", async (client, namespace) => {
    const calls: (Promise<unknown> | AsyncIterable<unknown>)[] = [
      client.mounts({ snapshotter, key: "k" }, { namespace }),
      client.commit({ snapshotter, key: "k", name: "n" }, { namespace }),
      client.remove({ snapshotter, key: "k" }, { namespace }),
      client.stat({ snapshotter, key: "k" }, { namespace }),
      client.update({ snapshotter, info: { name: "k" } }, { namespace }),
      client.usage({ snapshotter, key: "k" }, { namespace }),
    ];
    assert.deepEqual(
      await Promise.all(calls.map(codeOf)),
      calls.map(() => "NOT_FOUND"),
    );
    assert.equal(
      await messageOf(client.stat({ snapshotter, key: "k" }, { namespace })),
      "snapshot k does not exist: not found",
    );
    assert.deepEqual(await list(client, namespace), []);
  });

  check("a key that is taken is AlreadyExists, whatever the parent", async (client, namespace) => {
    await client.prepare({ snapshotter, key: "k" }, { namespace });
    assert.equal(
      await messageOf(client.prepare({ snapshotter, key: "k" }, { namespace })),
      'snapshot "k": already exists',
    );
    assert.equal(
      await codeOf(client.view({ snapshotter, key: "k", parent: "nobody" }, { namespace })),
      "ALREADY_EXISTS",
    );
    await client.commit({ snapshotter, key: "k", name: "layer" }, { namespace });
    assert.equal(await codeOf(client.prepare({ snapshotter, key: "layer" }, { namespace })), "ALREADY_EXISTS");
    await client.prepare({ snapshotter, key: "k" }, { namespace });
    assert.equal(
      await codeOf(client.commit({ snapshotter, key: "k", name: "layer" }, { namespace })),
      "ALREADY_EXISTS",
    );
    assert.equal(
      await codeOf(client.commit({ snapshotter, key: "nobody", name: "layer" }, { namespace })),
      "ALREADY_EXISTS",
    );
    assert.equal(await codeOf(client.commit({ snapshotter, key: "k", name: "k" }, { namespace })), "ALREADY_EXISTS");
    assert.equal((await stat(client, namespace, "k")).kind, wire.Kind.ACTIVE);
  });

  check("a parent that is absent is NotFound, and leaves the key free", async (client, namespace) => {
    const refused = client.prepare({ snapshotter, key: "k", parent: "nobody" }, { namespace });
    assert.equal(await messageOf(refused), "parent snapshot nobody does not exist: not found");
    assert.equal(await codeOf(refused), "NOT_FOUND");
    await client.prepare({ snapshotter, key: "k" }, { namespace });
  });

  check("a parent that is not committed is InvalidArgument", async (client, namespace) => {
    await client.prepare({ snapshotter, key: "active" }, { namespace });
    assert.equal(
      await codeOf(client.prepare({ snapshotter, key: "k", parent: "active" }, { namespace })),
      "INVALID_ARGUMENT",
    );
    assert.equal(
      await codeOf(client.view({ snapshotter, key: "k", parent: "active" }, { namespace })),
      "INVALID_ARGUMENT",
    );
    assert.deepEqual(await list(client, namespace), ["active"]);
  });

  check("what is not active is FailedPrecondition to commit, what is committed to mount", async (client, namespace) => {
    await client.view({ snapshotter, key: "look" }, { namespace });
    assert.equal(
      await codeOf(client.commit({ snapshotter, key: "look", name: "layer" }, { namespace })),
      "FAILED_PRECONDITION",
    );
    await client.prepare({ snapshotter, key: "work" }, { namespace });
    await client.commit({ snapshotter, key: "work", name: "layer" }, { namespace });
    assert.equal(
      await codeOf(client.commit({ snapshotter, key: "layer", name: "again" }, { namespace })),
      "FAILED_PRECONDITION",
    );
    assert.equal(await codeOf(client.mounts({ snapshotter, key: "layer" }, { namespace })), "FAILED_PRECONDITION");
    assert.deepEqual(await list(client, namespace), ["layer", "look"]);
  });

  check("a parent is FailedPrecondition to remove until its last child is gone", async (client, namespace) => {
    await client.prepare({ snapshotter, key: "work" }, { namespace });
    await client.commit({ snapshotter, key: "work", name: "layer" }, { namespace });
    await client.prepare({ snapshotter, key: "child", parent: "layer" }, { namespace });
    const refused = client.remove({ snapshotter, key: "layer" }, { namespace });
    assert.equal(await codeOf(refused), "FAILED_PRECONDITION");
    assert.match(await messageOf(refused), /cannot remove snapshot with child/);
    await client.commit({ snapshotter, key: "child", name: "upper" }, { namespace });
    assert.equal(await codeOf(client.remove({ snapshotter, key: "layer" }, { namespace })), "FAILED_PRECONDITION");
    await client.remove({ snapshotter, key: "upper" }, { namespace });
    await client.remove({ snapshotter, key: "layer" }, { namespace });
    assert.deepEqual(await list(client, namespace), []);
  });

  check("names are a namespace's own", async (client, namespace) => {
    const other = `${namespace}-other`;
    await client.prepare({ snapshotter, key: "k" }, { namespace });
    assert.equal(await codeOf(client.stat({ snapshotter, key: "k" }, { namespace: other })), "NOT_FOUND");
    await client.prepare({ snapshotter, key: "k" }, { namespace: other });
    await client.remove({ snapshotter, key: "k" }, { namespace: other });
    assert.equal((await stat(client, namespace, "k")).name, "k");
  });

  check("labels change as the mask says", async (client, namespace) => {
    await client.prepare({ snapshotter, key: "k", labels: { a: "1", b: "2" } }, { namespace });
    const update = async (labels: Record<string, string>, updateMask?: string[]) =>
      (
        await client.update(
          { snapshotter, info: { name: "k", labels }, ...(updateMask && { updateMask }) },
          { namespace },
        )
      ).info;
    assert.deepEqual((await update({ a: "3" }, ["labels.a", "labels.x.y/z"]))?.labels, { a: "3", b: "2" });
    assert.deepEqual((await update({ only: "4", none: "" }, ["labels"]))?.labels, { only: "4" });
    const last = (await update({ all: "5" }))!;
    assert.deepEqual([last.name, last.kind, last.labels], ["k", wire.Kind.ACTIVE, { all: "5" }]);
    assert.ok(unixNanoFromTimestamp(last.updatedAt)! > unixNanoFromTimestamp(last.createdAt)!);
    assert.deepEqual((await stat(client, namespace, "k")).labels, { all: "5" });
    assert.equal(await codeOf(update({}, ["parent"])), "INVALID_ARGUMENT");
    assert.equal(await codeOf(update({ long: "x".repeat(4096) })), "INVALID_ARGUMENT");
    assert.equal(await codeOf(client.update({ snapshotter, info: {} }, { namespace })), "INVALID_ARGUMENT");
  });

  check("a label that is too long is InvalidArgument", async (client, namespace) => {
    const labels = { long: "x".repeat(4096) };
    assert.equal(await codeOf(client.prepare({ snapshotter, key: "k", labels }, { namespace })), "INVALID_ARGUMENT");
    await client.prepare({ snapshotter, key: "k" }, { namespace });
    assert.equal(
      await codeOf(client.commit({ snapshotter, key: "k", name: "layer", labels }, { namespace })),
      "INVALID_ARGUMENT",
    );
  });

  check("a list is filtered, in messages of at most 100, in the order of keys", async (client, namespace) => {
    await client.prepare({ snapshotter, key: "work" }, { namespace });
    await client.commit({ snapshotter, key: "work", name: "layer" }, { namespace });
    for (let index = 0; index < 100; index++) {
      const labels = { parity: index % 2 === 0 ? "even" : "odd" };
      await client.view({ snapshotter, key: `view-${index}`, parent: "layer", labels }, { namespace });
    }
    await client.prepare({ snapshotter, key: "a/slash", parent: "layer" }, { namespace });
    const messages = await Array.fromAsync(client.list({ snapshotter }, { namespace }));
    assert.deepEqual(
      messages.map(({ info }) => info.length),
      [100, 2],
    );
    const names = messages.flatMap(({ info }) => info.map((listed) => listed.name));
    assert.deepEqual(names, names.toSorted());
    assert.deepEqual(await list(client, namespace, "kind==active", "kind==committed"), ["a/slash", "layer"]);
    assert.equal((await list(client, namespace, "kind==view,labels.parity==odd")).length, 50);
    assert.deepEqual(await list(client, namespace, "name==layer", "parent==layer,kind==active"), ["a/slash", "layer"]);
  });

  test(`${name}, ${snapshotter}: a lease holds what is made under it, also what was there`, async () => {
    const daemon = subject();
    const { client } = daemon;
    const namespace = `ns-${randomUUID()}`;
    const type = `snapshots/${snapshotter}`;
    await daemon.createLease(namespace, "one");
    await client.prepare({ snapshotter, key: "work" }, { namespace, lease: "one" });
    await client.view({ snapshotter, key: "look" }, { namespace, lease: "one" });
    assert.deepEqual(await daemon.heldBy(namespace, "one"), [`${type} look`, `${type} work`]);
    await client.commit({ snapshotter, key: "work", name: "layer" }, { namespace, lease: "one" });
    await client.remove({ snapshotter, key: "look" }, { namespace, lease: "one" });
    assert.deepEqual(await daemon.heldBy(namespace, "one"), [`${type} layer`]);
    assert.equal(await codeOf(client.prepare({ snapshotter, key: "k" }, { namespace, lease: "nobody" })), "NOT_FOUND");
    assert.deepEqual(await list(client, namespace), ["layer"]);
  });
}
