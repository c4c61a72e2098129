import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { setXattr, withTemporaryMount } from "../../src/platform/mod.ts";
import { upperOf } from "../../src/snapshots/diff.ts";
import { content, diff, snapshots } from "../../src/wire/mod.ts";
import { type ApiServer, startApi } from "../harness/api-server.ts";
import { ctr } from "../harness/ctr.ts";
import { containerd, shiplogd, type TestDaemon } from "../harness/daemons.ts";
import { codeOf, serviceClient } from "../harness/grpc-client.ts";
import { buildImage, imageName } from "../harness/image.ts";
import { onBothDaemons } from "../harness/service-subject.ts";
import { temporaryDirectory } from "../harness/temporary.ts";
import { type DiffSubject, diffServiceSuite } from "../suites/diff-service.ts";

const snapshotters = ["overlayfs", "native"];

function clientsOf(socket: string): DiffSubject & { close(): void } {
  const clients = {
    content: serviceClient(content.ContentDefinition, socket),
    snapshots: serviceClient(snapshots.SnapshotsDefinition, socket),
    diff: serviceClient(diff.DiffDefinition, socket),
  };
  const close = () => {
    for (const client of Object.values(clients)) client.close();
  };
  return { ...clients, close };
}

describe("diff of containerd", () => {
  let daemon: TestDaemon;
  let subject: ReturnType<typeof clientsOf>;
  before(async () => {
    daemon = await containerd();
    await daemon.start();
    subject = clientsOf(daemon.address);
  });
  after(async () => {
    subject.close();
    await daemon.dispose();
  });
  for (const snapshotter of snapshotters) diffServiceSuite("containerd", snapshotter, () => subject);
});

describe("diff of shiplog", () => {
  let root: string;
  let api: ApiServer;
  let subject: ReturnType<typeof clientsOf>;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), "shiplog-test-"));
    api = await startApi(root);
    subject = clientsOf(api.socket);
  });
  after(async () => {
    subject.close();
    await api.close();
    assert.deepEqual([api.faults, api.leftovers], [[], []]);
    await rm(root, { recursive: true });
  });
  for (const snapshotter of snapshotters) diffServiceSuite("shiplog", snapshotter, () => subject);
});

onBothDaemons("a lease and a diff", diff.DiffDefinition, (name, subject) => {
  test(`${name}: what a diff makes is held by the call's lease, also where it is there already`, async (t) => {
    const { client, createLease, heldBy } = subject();
    const namespace = "leased";
    const source = await temporaryDirectory(t);
    await writeFile(join(source, "a"), "a");
    const right = [{ type: "bind", source, options: ["rbind", "ro"] }];
    for (const lease of ["one", "two"]) {
      await createLease(namespace, lease);
      const { diff: made } = await client.diff({ right }, { namespace, lease });
      assert.deepEqual(await heldBy(namespace, lease), [`content ${made!.digest}`]);
    }
    await writeFile(join(source, "b"), "b");
    assert.equal(await codeOf(client.diff({ right }, { namespace, lease: "unknown" })), "NOT_FOUND");
  });
});

test("a source date epoch bounds the times in a diff, and makes two of the same files the same", async (t) => {
  const api = await startApi(await temporaryDirectory(t));
  const clients = clientsOf(api.socket);
  t.after(async () => {
    clients.close();
    await api.close();
  });
  const namespace = "dated";
  const diffOf = async (seconds: readonly number[], epoch?: bigint) => {
    const source = await temporaryDirectory(t);
    for (const [index, each] of seconds.entries()) {
      await writeFile(join(source, `${index}`), "");
      await utimes(join(source, `${index}`), each, each);
    }
    const right = [{ type: "bind", source, options: ["rbind", "ro"] }];
    const request = { right, mediaType: "application/vnd.oci.image.layer.v1.tar" };
    const dated = epoch === undefined ? {} : { sourceDateEpoch: { seconds: epoch, nanos: 5 } };
    const { diff: made } = await clients.diff.diff({ ...request, ...dated }, { namespace });
    const read = await Array.fromAsync(clients.content.read({ digest: made!.digest }, { namespace }));
    const times = entriesOf(Buffer.concat(read.map(({ data }) => data))).flatMap((line) => /\d{4}-\d\d-\d\d [\d:]+/.exec(line) ?? []);
    return { digest: made!.digest, times };
  };
  const bounded = await diffOf([100, 200, 300], 200n);
  assert.deepEqual(bounded.times, ["1970-01-01 00:01:40", "1970-01-01 00:03:20", "1970-01-01 00:03:20"]);
  assert.equal((await diffOf([100, 250, 900], 200n)).digest, bounded.digest);
  assert.deepEqual((await diffOf([100, 300])).times, ["1970-01-01 00:01:40", "1970-01-01 00:05:00"]);
});

test("Cleanup is Unimplemented, as containerd's namespaced snapshotters have none", async (t) => {
  const api = await startApi(await temporaryDirectory(t));
  const client = serviceClient(snapshots.SnapshotsDefinition, api.socket);
  assert.equal(await codeOf(client.cleanup({ snapshotter: "overlayfs" }, { namespace: "ns" })), "UNIMPLEMENTED");
  client.close();
  await api.close();
});

/** CAP_NET_RAW, permitted and effective, as the kernel keeps it (linux/capability.h, vfs_cap_data). */
const netRaw = Buffer.from("0100000200200000000000000000000000000000", "hex");

test("a diff has the entries of containerd's, for the same mounts in both forms", async (t) => {
  const api = await startApi(await temporaryDirectory(t));
  const reference = await containerd();
  await reference.start();
  const [ours, theirs] = [clientsOf(api.socket), clientsOf(reference.address)];
  t.after(async () => {
    ours.close();
    theirs.close();
    await api.close();
    await reference.dispose();
  });
  const namespace = "ns";
  const snapshotter = "overlayfs";
  const script = async (key: string, parent: string, commands: string, also = (_root: string) => {}) => {
    const { mounts } = await ours.snapshots.prepare({ snapshotter, key, parent }, { namespace });
    const temporary = await temporaryDirectory(t);
    await withTemporaryMount(mounts, temporary, async (root) => {
      execFileSync("sh", ["-ec", commands], { cwd: root });
      also(root);
    });
    return mounts;
  };
  const base = await script(
    "base",
    "",
    `mkdir -p etc/deep/er opaque gone type; echo a >etc/a; echo b >opaque/b; echo c >gone/c
    echo d >type/d; ln etc/a linked; echo e >removed; echo f >etc/deep/er/f; mkfifo fifo; mknod null c 1 3; echo t >touched`,
  );
  await ours.snapshots.commit({ snapshotter, key: "base", name: "layer" }, { namespace });
  const right = await script(
    "top",
    "layer",
    `rm removed; rm -r gone opaque type; mkdir opaque; echo n >opaque/n; echo d >type
    echo more >>etc/a; chmod 700 etc/deep; echo x >etc/deep/er/x; ln etc/deep/er/x hard; ln -s etc/a symbolic; chown 5:6 fifo
    touch touched; mkdir -p new/empty; echo long >new/$(printf 'n%.0s' $(seq 120)); chmod 4755 etc/deep/er/f; mkfifo new/fifo
    echo c >new/capable; mknod new/block b 7 200; touch -d @-5 new/before-1970`,
    (root) => setXattr(join(root, "new", "capable"), "security.capability", netRaw),
  );
  const left = (await ours.snapshots.view({ snapshotter, key: "left", parent: "layer" }, { namespace })).mounts;
  assert.notEqual(upperOf(left, right), undefined);
  const walked = right.map((mount) => ({ ...mount, options: [...mount.options, "xino=off"] }));
  for (const [from, to] of [
    [left, right],
    [left, walked],
    [[], base],
  ] as const) {
    const lists = await Promise.all(
      [ours, theirs].map(async (daemon) => {
        const { diff: made } = await daemon.diff.diff({ left: [...from], right: [...to] }, { namespace });
        const read = await Array.fromAsync(daemon.content.read({ digest: made!.digest }, { namespace }));
        const blob = Buffer.concat(read.map(({ data }) => data));
        const { info } = await daemon.content.info({ digest: made!.digest }, { namespace });
        assert.equal(
          info!.labels["containerd.io/uncompressed"],
          `sha256:${createHash("sha256").update(gunzipSync(blob)).digest("hex")}`,
        );
        assert.deepEqual(
          [made!.mediaType, made!.size],
          ["application/vnd.oci.image.layer.v1.tar+gzip", BigInt(blob.length)],
        );
        return entriesOf(gunzipSync(blob));
      }),
    );
    assert.ok(lists[0]!.length > 8);
    assert.deepEqual(lists[0], lists[1]);
    if (to !== base) assert.ok(lists[0]!.some((line) => line.includes("security.capability")));
  }
});

test("ctr makes a layer of a snapshot and exports an image as it does with containerd", async (t) => {
  const directory = await temporaryDirectory(t);
  const { archive } = await buildImage(directory);
  const namespace = "ctr";
  const layerType = "application/vnd.oci.image.layer.v1.tar";
  const made: { readonly layer: string[]; readonly image: string }[] = [];
  for (const daemon of [await shiplogd(), await containerd()]) {
    t.after(() => daemon.dispose());
    await daemon.start();
    const run = async (...args: string[]) => {
      const { code, stdout, stderr } = await ctr(daemon.address, namespace, args);
      assert.equal(code, 0, `${daemon.name}: ctr ${args.join(" ")}: ${stderr}`);
      return stdout;
    };
    await run("images", "import", archive);
    const parent = (await run("snapshots", "list")).match(/^(sha256:\S+)\s+sha256:\S+\s+Committed/m)![1]!;
    await run("snapshots", "prepare", "top", parent);
    const client = serviceClient(snapshots.SnapshotsDefinition, daemon.address);
    t.after(() => client.close());
    const { mounts } = await client.mounts({ snapshotter: "overlayfs", key: "top" }, { namespace });
    await withTemporaryMount(mounts, directory, async (root) => {
      execFileSync("sh", ["-ec", "rm etc/motd; echo new >etc/new; touch -d @5 etc/new etc"], { cwd: root });
    });
    const layer = await run("snapshots", "diff", "--media-type", layerType, "--keep", "top");
    const exported = join(directory, `${daemon.name}.tar`);
    await run("images", "export", exported, imageName);
    await run("--namespace", "again", "images", "import", exported);
    made.push({
      layer: entriesOf(Buffer.from(layer)),
      image: createHash("sha256")
        .update(await readFile(exported))
        .digest("hex"),
    });
  }
  assert.equal(made[0]!.layer.length, 3);
  assert.deepEqual(made[0], made[1]);
});

/** Lines for each entry: mode, owner, size, time and name, and attributes with their sizes, as tar shows them. A whiteout's time is 0 here and the present in containerd 1.6. */
function entriesOf(archive: Buffer): string[] {
  const shown = execFileSync(
    "tar",
    ["--list", "-vv", "--xattrs-include=*", "--numeric-owner", "--full-time", "--file", "-"],
    {
      input: archive,
      env: { TZ: "UTC", LC_ALL: "C", PATH: process.env.PATH },
    },
  );
  return shown
    .toString()
    .trim()
    .split("\n")
    .map((line) => (line.includes(".wh.") ? line.replace(/\d{4}-\d\d-\d\d [\d:.]+ /, "") : line));
}
