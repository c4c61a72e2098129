/** Volumes of a real daemon, mounted into real containers by a label. */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { mount } from "../../src/platform/mod.ts";
import { leases, shiplogVolumes, TaskStatus, tasks } from "../../src/wire/mod.ts";
import { eventually } from "../harness/eventually.ts";
import { codeOf, messageOf } from "../harness/grpc-client.ts";
import { Harbour } from "../harness/harbour.ts";
import { mountsBelow } from "../harness/traces.ts";

let harbour: Harbour;
before(async () => {
  harbour = await Harbour.open("volumes");
});
after(() => harbour?.dispose());

const volumes = () => harbour.connection.service(shiplogVolumes.VolumesDefinition, { namespace: harbour.namespace });
const volume = async (name: string) =>
  (await Array.fromAsync(volumes().list({})))
    .flatMap((response) => response.volumes)
    .find((each) => each.name === name);
const shiplog = async (...args: string[]) => {
  const { code, stdout, stderr } = await harbour.shiplog(...args);
  assert.equal(code, 0, stderr);
  return stdout;
};
const idle = "while true; do sleep 1; done";
const at = (name: string, path: string) => ["--label", `shiplog.volume/${name}=${path}`];
/** The daemon's own mounts of volumes. */
const held = () => mountsBelow(join(harbour.daemon.paths.state, "volumes"));
const nothingHeld = () => eventually("nothing is held", async () => ((await held()).length === 0 ? true : undefined));

test("a volume outlives its containers, is rolled back, and its history tells who had it when and where", async () => {
  assert.equal(await shiplog("volume", "create", "data"), "data\n");
  await harbour.run("first", `echo one > /var/data/file; ${idle}`, ...at("data", "/var/data"));
  await eventually("it is written", async () =>
    (await harbour.exec("first", "cat", "/var/data/file").catch(() => "")) === "one\n" ? true : undefined,
  );
  assert.match(await shiplog("volume", "ls"), /^data +shared +overlayfs +nothing +first:\/var\/data$/m);
  assert.match(
    await shiplog("volume", "snapshot", "data", "first-day"),
    /^first-day: first paused for [\d.]+ ms; .* copied$/m,
  );
  await harbour.remove("first");
  await nothingHeld();
  assert.equal((await harbour.shiplog("gc")).code, 0);

  await harbour.run("second", `echo two >> /mnt/file; ${idle}`, ...at("data", "/mnt"));
  await eventually("it is written", async () =>
    (await harbour.exec("second", "cat", "/mnt/file")) === "one\ntwo\n" ? true : undefined,
  );
  const refused = await harbour.shiplog("volume", "rollback", "data", "first-day");
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /volume "data" is mounted in container "second"/);
  await harbour.remove("second");

  await shiplog("volume", "rollback", "data", "first-day");
  await harbour.run("third", idle, ...at("data", "/mnt:ro"));
  assert.equal(await harbour.exec("third", "cat", "/mnt/file"), "one\n", "as it was when it was pictured");
  assert.match(await harbour.exec("third", "sh", "-c", "echo x > /mnt/file 2>&1; cat /mnt/file"), /one\n$/);
  assert.match(await shiplog("volume", "ls"), /^data +shared +overlayfs +first-day +third:\/mnt:ro$/m);
  await harbour.remove("third");

  const told = await shiplog("volume", "history", "data");
  const lines = told.split("\n").slice(1, -1);
  const time = "\\d{4}-\\d\\d-\\d\\dT\\S+";
  for (const [index, line] of [
    `^${time} +uid 0 pid \\d+ +created, shared, on overlayfs$`,
    `^${time}  ${time}  uid 0 pid \\d+ +in first at /var/data$`,
    `^${time} +uid 0 pid \\d+ +picture first-day$`,
    `^${time}  ${time}  uid 0 pid \\d+ +in second at /mnt$`,
    `^${time} +uid 0 pid \\d+ +back to first-day$`,
    `^${time}  ${time}  uid 0 pid \\d+ +in third at /mnt, to be read$`,
  ].entries())
    assert.match(lines[index]!, new RegExp(line));
  const facts = await harbour.facts("volume/data");
  const mounted = facts.find(({ type }) => type === "VolumeMounted")!;
  const creating = (await harbour.facts("task/first")).find(({ type }) => type === "TaskCreating")!;
  assert.equal(mounted.cause, creating.position, "mounted because a task was created");
  const unmounted = facts.find(({ type }) => type === "VolumeUnmounted")!;
  const exited = (await harbour.facts("task/first")).find(({ type }) => type === "TaskExited")!;
  assert.equal(unmounted.cause, exited.position, "and no more because it ended");
  assert.match(await shiplog("history", "volume/data"), /VolumeRolledBack +to first-day/);

  await shiplog("volume", "rm", "data");
  assert.equal(await volume("data"), undefined);
  assert.match(await shiplog("volume", "history", "data"), /removed$/m);
  await shiplog("snapshot", "rm", "first-day");
  await harbour.isSound();
});

test("a shared volume is one and the same in all of its containers, also when it stands on a picture", async () => {
  await volumes().create({ name: "base" });
  await harbour.ctr(
    "run",
    "--rm",
    ...at("base", "/v"),
    "example.test/busybox:1",
    "filler",
    "sh",
    "-c",
    "echo base > /v/base",
  );
  await volumes().snapshot({ name: "base", picture: "filled" });
  await volumes().create({ name: "common", from: "filled" });
  await harbour.run("a", idle, ...at("common", "/v"), ...at("base", "/v/nested"));
  await harbour.run("b", idle, ...at("common", "/w"));
  await harbour.exec("a", "sh", "-c", "echo from a > /v/file");
  assert.equal(await harbour.exec("b", "cat", "/w/file", "/w/base"), "from a\nbase\n");
  assert.equal(await harbour.exec("a", "cat", "/v/nested/base"), "base\n");
  assert.equal((await held()).length, 2, "one mount for both");

  const { paused } = await volumes().snapshot({ name: "common", picture: "both" });
  assert.deepEqual(paused.toSorted(), ["a", "b"]);
  await harbour.remove("a");
  assert.equal(await harbour.exec("b", "cat", "/w/file"), "from a\n");
  await harbour.remove("b");
  await nothingHeld();
  for (const name of ["common", "base"]) await volumes().remove({ name });
  await shiplog("snapshot", "rm", "both", "filled");
  await harbour.isSound();
});

test("an exclusive volume is in one container at a time, and a container that cannot have it leaves nothing", async () => {
  await volumes().create({ name: "mine", exclusive: true });
  await harbour.run("owner", idle, ...at("mine", "/v"));
  await assert.rejects(
    harbour.run("other", idle, ...at("mine", "/v")),
    /volume "mine" is exclusive, and container "owner" has it/,
  );
  await harbour.ctr("containers", "rm", "other");
  await assert.rejects(harbour.run("lost", idle, ...at("nowhere", "/v")), /volume "nowhere": not found/);
  await harbour.ctr("containers", "rm", "lost");
  await assert.rejects(harbour.run("odd", idle, ...at("mine", "relative")), /"relative" is no absolute path/);
  await harbour.ctr("containers", "rm", "odd");
  await harbour.remove("owner");
  await harbour.run("other", idle, ...at("mine", "/v"));
  assert.deepEqual(
    (await volume("mine"))!.mounts.map(({ container }) => container),
    ["other"],
  );
  await harbour.remove("other");
  await volumes().remove({ name: "mine" });
  await harbour.isSound();
});

test("a container whose task fails to be created has its volumes no more", async () => {
  await volumes().create({ name: "kept" });
  await assert.rejects(
    harbour.ctr("run", "-d", "--null-io", ...at("kept", "/v"), "example.test/busybox:1", "broken", "/no/such/program"),
  );
  await eventually("it is unmounted", async () => ((await volume("kept"))!.mounts.length === 0 ? true : undefined));
  await nothingHeld();
  await harbour.ctr("containers", "rm", "broken");
  await volumes().remove({ name: "kept" });
});

test("what a volume is made of is no client's to remove or to commit, and no collection takes it", async () => {
  await volumes().create({ name: "guarded" });
  const { snapshotKey, snapshotter } = (await volume("guarded"))!;
  const remove = () => harbour.snapshots.remove({ snapshotter, key: snapshotKey });
  assert.equal(await codeOf(remove()), "FAILED_PRECONDITION");
  assert.match(await messageOf(remove()), /is volume "guarded"/);
  assert.equal(
    await codeOf(harbour.snapshots.commit({ snapshotter, key: snapshotKey, name: "c" })),
    "FAILED_PRECONDITION",
  );
  const service = harbour.connection.service(leases.LeasesDefinition, { namespace: harbour.namespace });
  await service.create({ id: "l" });
  await service.delete({ id: "l", sync: true });
  await harbour.snapshots.mounts({ snapshotter, key: snapshotKey });
  assert.equal(await codeOf(volumes().create({ name: "guarded" })), "ALREADY_EXISTS");
  assert.equal(await codeOf(volumes().create({ name: "not/one" })), "INVALID_ARGUMENT");
  assert.equal(await codeOf(volumes().create({ name: "x", snapshotter: "zfs" })), "INVALID_ARGUMENT");
  assert.equal(await codeOf(volumes().create({ name: "x", from: "nothing" })), "NOT_FOUND");
  assert.equal(await codeOf(volumes().rollBack({ name: "guarded", picture: "nothing" })), "NOT_FOUND");
  assert.equal(await codeOf(volumes().remove({ name: "nowhere" })), "NOT_FOUND");
  await volumes().remove({ name: "guarded" });
  await harbour.isSound();
});

test("a container that is restarted has its volumes again, each time as a line of their history", async () => {
  await volumes().create({ name: "log" });
  const restart = ["--label", "containerd.io/restart.status=running"];
  await harbour.run("restarted", "echo begun >> /v/log; while true; do sleep 1; done", ...at("log", "/v"), ...restart);
  const begun = async () => (await harbour.exec("restarted", "cat", "/v/log").catch(() => "")).split("\n").length - 1;
  await eventually("it has begun", async () => ((await begun()) === 1 ? true : undefined));
  await harbour.ctr("tasks", "kill", "-s", "SIGKILL", "restarted");
  await eventually("it has begun again", async () => ((await begun()) === 2 ? true : undefined));
  const mounts = (await harbour.facts("volume/log")).map(({ type }) => type);
  assert.deepEqual(mounts, ["VolumeCreated", "VolumeMounted", "VolumeUnmounted", "VolumeMounted"]);
  assert.equal((await held()).length, 1);
  await harbour.ctr("containers", "label", "restarted", "containerd.io/restart.status=stopped");
  await harbour.remove("restarted");
  await nothingHeld();
  await volumes().remove({ name: "log" });
});

test("a place that no container needs is found by fsck, and undone when it is asked to", async () => {
  await volumes().create({ name: "seen" });
  await harbour.run("user", idle, ...at("seen", "/v"));
  const [used] = await held();
  const stray = join(harbour.daemon.paths.state, "volumes", harbour.namespace, "volume,gone,0123456789abcdef");
  await mkdir(stray);
  mount({ type: "tmpfs", source: "tmpfs", options: [] }, stray);
  const { code, stdout } = await harbour.shiplog("fsck", "--repair");
  assert.equal(code, 1);
  assert.match(stdout, /mount .*volume,gone,0123456789abcdef: mounted for containers that do not need it; removed/);
  assert.deepEqual(await held(), [used]);
  await harbour.isSound();
  await harbour.remove("user");
  await volumes().remove({ name: "seen" });
});

test("volumes stay mounted while the daemon is killed and started, and those of containers that ended meanwhile are let go of", async () => {
  for (const name of ["stays", "goes"]) await volumes().create({ name });
  await harbour.run("living", `while true; do date > /v/date; sleep 1; done`, ...at("stays", "/v"));
  await harbour.run("dying", idle, ...at("goes", "/v"));
  const service = harbour.connection.service(tasks.TasksDefinition, { namespace: harbour.namespace });
  const { pid } = (await service.list({})).tasks.find(({ id }) => id === "dying")!;
  await harbour.kill();
  process.kill(pid, "SIGKILL");
  await harbour.start();
  await eventually("the dead one is known to be", async () =>
    (await harbour.status("dying")) === TaskStatus.STOPPED ? true : undefined,
  );
  await eventually("its volume is let go of", async () =>
    (await volume("goes"))!.mounts.length === 0 ? true : undefined,
  );
  await eventually("its place is undone", async () => ((await held()).length === 1 ? true : undefined));
  assert.deepEqual(
    (await volume("stays"))!.mounts.map(({ container }) => container),
    ["living"],
  );
  await harbour.exec("living", "sh", "-c", "echo still > /v/file");
  await harbour.remove("living");
  await harbour.remove("dying");
  await nothingHeld();
  await harbour.run("reader", idle, ...at("stays", "/v"));
  assert.equal(await harbour.exec("reader", "cat", "/v/file"), "still\n");
  await harbour.remove("reader");
  for (const name of ["stays", "goes"]) await volumes().remove({ name });
  await harbour.isSound();
});
