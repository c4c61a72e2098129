/** Two daemons: one serves its snapshotter, the other uses it as a proxy plugin, through pulls, runs, collections and deaths. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connect } from "../../src/cli/client.ts";
import { introspection, snapshots, TaskStatus } from "../../src/wire/mod.ts";
import { ctr } from "../harness/ctr.ts";
import { containerd, shiplogd, type TestDaemon } from "../harness/daemons.ts";
import { eventually } from "../harness/eventually.ts";
import { codeOf, messageOf } from "../harness/grpc-client.ts";
import { imageName } from "../harness/image.ts";
import { Harbour } from "../harness/harbour.ts";
import { Registry } from "../harness/registry.ts";

const snapshotter = "far";
let server: TestDaemon;
let harbour: Harbour;

before(async () => {
  server = await shiplogd();
  await server.start();
  harbour = await Harbour.open("proxied", {
    snapshotter,
    configuration: `[proxy_plugins.${snapshotter}]\ntype = "snapshot"\naddress = "${server.address}"\nsnapshotter = "overlayfs"\ncapabilities = ["a"]\n[proxy_plugins.${snapshotter}.exports]\nwhere = "there"\n`,
  });
});
after(async () => {
  await harbour?.dispose();
  await server?.dispose();
});

/** What the serving daemon has, by name. */
async function there(): Promise<ReadonlyMap<string, { readonly kind: number; readonly parent: string }>> {
  const connection = connect(server.address);
  try {
    const service = connection.service(snapshots.SnapshotsDefinition, { namespace: "shiplog" });
    const infos = (await Array.fromAsync(service.list({ snapshotter: "overlayfs" }))).flatMap(({ info }) => info);
    return new Map(infos.map(({ name, kind, parent }) => [name, { kind, parent }]));
  } finally {
    connection.close();
  }
}

const run = (id: string, ...args: string[]) =>
  harbour.ctr("run", "--rm", "--snapshotter", snapshotter, imageName, id, ...args);

test("a proxied snapshotter is a plugin as any other, with what the configuration tells of it", async () => {
  const service = harbour.connection.service(introspection.IntrospectionDefinition);
  const { plugins } = await service.plugins({ filters: [`type==io.containerd.snapshotter.v1,id==${snapshotter}`] });
  assert.deepEqual(
    plugins.map(({ id, capabilities, exports, platforms }) => [id, capabilities, exports, platforms.length]),
    [[snapshotter, ["a"], { where: "there" }, 1]],
  );
});

test("an image is unpacked into it, layer on layer, and containers run on it", async () => {
  const known = await there();
  assert.equal([...known.values()].filter(({ kind }) => kind === snapshots.Kind.COMMITTED).length, 2);
  assert.equal(await run("one", "cat", "/etc/motd"), "a second layer\n");
  assert.equal(await run("two", "sh", "-c", "ls /etc/removed 2>/dev/null; echo gone"), "gone\n");
  const { size } = await harbour.snapshots.usage({ snapshotter, key: await base() });
  assert.ok(size > 0n);
});

test("what nothing refers to here is collected there too, and nothing else", async () => {
  const before = await there();
  await harbour.snapshots.prepare({ snapshotter, key: "unreferenced", parent: await base() });
  assert.equal((await there()).size, before.size + 1);
  assert.equal((await harbour.shiplog("gc")).code, 0);
  await eventually("it has gone there", async () => ((await there()).size === before.size ? true : undefined));
  // The serving daemon's own collector must not take what it has no reference to.
  assert.equal((await ctr(server.address, "shiplog", ["leases", "create", "--id", "l"])).code, 0);
  assert.equal((await ctr(server.address, "shiplog", ["leases", "rm", "--sync", "l"])).code, 0);
  assert.deepEqual(await there(), before);
  await harbour.isSound();
});

test("an image is pulled into it from a registry, after all that there was of it has been collected", async () => {
  const registry = await Registry.start();
  try {
    const remote = `${registry.host}/test/busybox:1`;
    await harbour.ctr("images", "push", "--plain-http", remote, imageName);
    await harbour.ctr("images", "rm", imageName);
    assert.equal((await harbour.shiplog("gc")).code, 0);
    await eventually("nothing is left there", async () => ((await there()).size === 0 ? true : undefined));
    await harbour.ctr("images", "pull", "--plain-http", "--snapshotter", snapshotter, remote);
    assert.equal((await there()).size, 2);
    await harbour.ctr("images", "tag", remote, imageName);
    assert.equal(await run("pulled", "cat", "/etc/motd"), "a second layer\n");
    await harbour.isSound();
  } finally {
    await registry.close();
  }
});

test("while its process is away calls say so, what runs goes on, and everything is there when it comes back", async () => {
  await harbour.run("sailor", "echo before > /log; while true; do sleep 1; done", "--snapshotter", snapshotter);
  const before = await there();
  await server.end("SIGKILL");

  assert.equal(await harbour.status("sailor"), TaskStatus.RUNNING);
  assert.equal(await harbour.exec("sailor", "cat", "/log"), "before\n");
  const prepare = () => harbour.snapshots.prepare({ snapshotter, key: "away", parent: "" });
  assert.match(await messageOf(prepare()), /^snapshotter far: its process does not answer/);
  assert.equal(await codeOf(prepare()), "UNAVAILABLE");
  assert.equal(await codeOf(harbour.snapshots.mounts({ snapshotter, key: "sailor" })), "UNAVAILABLE");
  // What stands in the tables needs nobody else, and a removal is made up for later.
  assert.equal(
    (await Array.fromAsync(harbour.snapshots.list({ snapshotter }))).flatMap(({ info }) => info).length,
    before.size,
  );
  await harbour.remove("sailor");
  assert.equal(await codeOf(harbour.snapshots.stat({ snapshotter, key: "sailor" })), "NOT_FOUND");

  await server.start();
  assert.equal(await run("three", "cat", "/etc/motd"), "a second layer\n");
  await eventually("the container's snapshot has gone there", async () =>
    (await there()).size === before.size - 1 ? true : undefined,
  );
  await harbour.isSound();
});

test("the daemon itself is killed and started while the other one is away, and both find everything again", async () => {
  await harbour.run("sailor", "echo before > /log; while true; do sleep 1; done", "--snapshotter", snapshotter);
  const before = await there();
  await server.end("SIGKILL");
  await harbour.kill();
  await harbour.start();
  assert.equal(await harbour.status("sailor"), TaskStatus.RUNNING);
  await server.start();
  await harbour.kill();
  await harbour.start();
  assert.deepEqual(await there(), before, "the sweep at start takes nothing that is known");
  assert.equal(await harbour.exec("sailor", "cat", "/log"), "before\n");
  await harbour.ctr("tasks", "kill", "-s", "SIGKILL", "sailor");
  await eventually("it has ended", async () =>
    (await harbour.status("sailor")) === TaskStatus.STOPPED ? true : undefined,
  );
  await harbour.ctr("tasks", "rm", "sailor");
  await harbour.ctr("tasks", "start", "-d", "--null-io", "sailor");
  assert.equal(await harbour.exec("sailor", "cat", "/log"), "before\n");
  await harbour.remove("sailor");
  await harbour.isSound();
});

test("what another process keeps is pictured, compared and made an image of as what is kept here", async () => {
  await harbour.run("writer", "echo new > /etc/new; while true; do sleep 1; done", "--snapshotter", snapshotter);
  await eventually("it has written", async () =>
    (await harbour.exec("writer", "cat", "/etc/new").catch(() => "")) === "new\n" ? true : undefined,
  );
  const { paused } = await harbour.pictures.take({ container: "writer", name: "picture" });
  assert.deepEqual(paused, ["writer"], "the containers are here, the copy is made there");
  await harbour.exec("writer", "sh", "-c", "echo newer > /etc/new");
  const since = await harbour.shiplog("snapshot", "diff", "picture", "writer");
  assert.match(since.stdout, /^M etc\/new$/m);
  await harbour.snapshots.remove({ snapshotter, key: "picture" });
  const compared = await harbour.shiplog("snapshot", "diff", await base(), "writer");
  assert.match(compared.stdout, /^A etc\/new$/m);
  await harbour.remove("writer");
  const exported = await harbour.shiplog("snapshot", "export", await base(), "example.test/far:1");
  assert.match(exported.stdout, /one layer that holds everything/);
  assert.equal(
    await harbour.ctr("run", "--rm", "example.test/far:1", "exported", "/bin/cat", "/etc/motd"),
    "a second layer\n",
  );
  await harbour.isSound();
});

test("containerd serves its snapshotter as well", async () => {
  const reference = await containerd();
  let other: Harbour | undefined;
  try {
    await reference.start();
    other = await Harbour.open("proxied-containerd", {
      snapshotter,
      configuration: `[proxy_plugins.${snapshotter}]\ntype = "snapshot"\naddress = "${reference.address}"\nsnapshotter = "native"\n`,
    });
    const output = await other.ctr("run", "--rm", "--snapshotter", snapshotter, imageName, "c", "cat", "/etc/motd");
    assert.equal(output, "a second layer\n");
    await other.run("c", "while true; do sleep 1; done", "--snapshotter", snapshotter);
    assert.equal(await codeOf(other.pictures.take({ container: "c", name: "p" })), "UNIMPLEMENTED");
    assert.equal(await other.status("c"), TaskStatus.RUNNING);
    await other.remove("c");
    assert.equal((await other.shiplog("gc")).code, 0);
    await other.isSound();
  } finally {
    await other?.dispose();
    await reference.dispose();
  }
});

test("a commit whose answer was lost is made again, and is one commit", async () => {
  await harbour.snapshots.prepare({
    snapshotter,
    key: "work",
    parent: "",
    labels: { "containerd.io/gc.root": "test" },
  });
  const name = [...(await there())].find(([, { kind, parent }]) => kind === snapshots.Kind.ACTIVE && parent === "")![0];
  const connection = connect(server.address);
  const service = connection.service(snapshots.SnapshotsDefinition, { namespace: "shiplog" });
  await service.commit({
    snapshotter: "overlayfs",
    key: name,
    name: `${name}-c`,
    labels: { "containerd.io/gc.root": "test" },
  });
  connection.close();
  await harbour.snapshots.commit({
    snapshotter,
    key: "work",
    name: "done",
    labels: { "containerd.io/gc.root": "test" },
  });
  const { info } = await harbour.snapshots.stat({ snapshotter, key: "done" });
  assert.equal(info!.kind, snapshots.Kind.COMMITTED);
  await harbour.snapshots.remove({ snapshotter, key: "done" });
  await harbour.isSound();
});

test("what the other process has committed by itself under a client's target is told, and is there from then on", async () => {
  // As a lazily pulling snapshotter does: it has the layer before anybody fills one.
  const connection = connect(server.address);
  const service = connection.service(snapshots.SnapshotsDefinition, { namespace: "shiplog" });
  const target = "sha256:lazy";
  const labels = { "containerd.io/snapshot.ref": target, "containerd.io/gc.root": "test" };
  await service.prepare({
    snapshotter: "overlayfs",
    key: "filled",
    parent: "",
    labels: { "containerd.io/gc.root": "test" },
  });
  await service.commit({ snapshotter: "overlayfs", key: "filled", name: target, labels });
  const prepare = { snapshotter, key: "extract", parent: "", labels: { "containerd.io/snapshot.ref": target } };
  assert.equal(await codeOf(harbour.snapshots.prepare(prepare)), "ALREADY_EXISTS");
  const { info } = await harbour.snapshots.stat({ snapshotter, key: target });
  assert.equal(info!.kind, snapshots.Kind.COMMITTED);
  const { mounts } = await harbour.snapshots.prepare({ snapshotter, key: "on-it", parent: target });
  assert.equal(mounts.length, 1);
  await harbour.snapshots.remove({ snapshotter, key: "on-it" });
  await harbour.snapshots.remove({ snapshotter, key: target });
  assert.equal(await codeOf(service.stat({ snapshotter: "overlayfs", key: target })), "NOT_FOUND");
  connection.close();
});

/** The name of the image's topmost snapshot. */
async function base(): Promise<string> {
  const infos = (await Array.fromAsync(harbour.snapshots.list({ snapshotter }))).flatMap(({ info }) => info);
  return infos.find(
    ({ kind, name }) =>
      kind === snapshots.Kind.COMMITTED &&
      !infos.some(({ parent, kind: other }) => parent === name && other === snapshots.Kind.COMMITTED),
  )!.name;
}
