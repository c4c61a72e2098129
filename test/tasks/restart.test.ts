import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { TaskDaemon } from "./task-daemon.ts";
import { hasEnded, noIo, processSpecOf, shimsOf } from "./workshop.ts";
import { eventually } from "../harness/eventually.ts";

let daemon: TaskDaemon;
before(async () => {
  daemon = await TaskDaemon.open();
});
after(() => daemon.remove());

const shimPid = (id: string) => shimsOf(daemon.workshop.address).find((shim) => shim.id === id)!.pid;
const bundleIds = async () => (await daemon.workshop.bundles.list()).map(({ id }) => id);

test("a task that runs through a restart is the same task after it", async () => {
  const pid = await daemon.run("adopted", ["sleep", "1000"]);
  const { manager, origin } = daemon;
  await manager.exec(origin, "adopted", { execId: "beside", io: noIo, spec: processSpecOf(["sleep", "1000"]) });
  await manager.start(origin, "adopted", "beside");
  const before = [shimPid("adopted"), await daemon.types("adopted")];
  await daemon.restart();
  assert.deepEqual([shimPid("adopted"), await daemon.types("adopted")], before, "nothing happened to it");
  assert.equal(daemon.task("adopted")!.pid, pid);
  await daemon.kill("adopted", 9, "beside");
  assert.equal((await daemon.wait("adopted", "beside")).status, 137);
  await daemon.manager.pause(daemon.origin, "adopted");
  await daemon.restart();
  assert.equal(daemon.task("adopted")!.status, "paused");
  await daemon.manager.resume(daemon.origin, "adopted");
  await daemon.kill("adopted");
  assert.equal((await daemon.wait("adopted")).status, 137);
  await daemon.manager.delete(daemon.origin, "adopted");
});

test("exits while the daemon is down are recorded once, with the true code and time, execs before init", async () => {
  await daemon.run("ended", ["sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.05; done"]);
  const { manager, origin } = daemon;
  await manager.exec(origin, "ended", { execId: "first", io: noIo, spec: processSpecOf(["sh", "-c", "exit 6"]) });
  await manager.exec(origin, "ended", { execId: "with", io: noIo, spec: processSpecOf(["sleep", "1000"]) });
  await manager.start(origin, "ended", "with");
  await daemon.stop();
  const told = await daemon.withShim("ended", async (shim) => {
    await shim.kill("", 15, false);
    return shim.wait("");
  });
  await daemon.begin();
  const { status, exitedAt, known } = await daemon.only("ended", "TaskExited");
  assert.deepEqual([status, exitedAt, known], [9, told.exitedAt, true]);
  const ends = (await daemon.facts("ended")).filter(({ type }) => type.endsWith("Exited"));
  assert.deepEqual(ends.map(({ type }) => type), ["ExecExited", "TaskExited"]);
  assert.deepEqual((await daemon.only("ended", "ExecExited")).known, true);
  // The shim sends its own events again once the socket is back.
  await daemon.restart();
  await daemon.only("ended", "TaskExited");
  await daemon.manager.delete(daemon.origin, "ended");
});

test("an open wait fails when the daemon stops, and its answer is the same after the restart", async () => {
  await daemon.run("waited", ["sleep", "1000"]);
  const waiting = assert.rejects(daemon.wait("waited"), { class: "Unavailable" });
  await daemon.stop();
  await waiting;
  await assert.rejects(daemon.kill("waited"), { class: "Unavailable" });
  await daemon.begin();
  await daemon.kill("waited");
  assert.equal((await daemon.wait("waited")).status, 137);
});

test("a shim that is killed is recorded as lost, once, and its task can be deleted", async () => {
  const pid = await daemon.run("lost", ["sleep", "1000"]);
  const { manager, origin } = daemon;
  await manager.exec(origin, "lost", { execId: "too", io: noIo, spec: processSpecOf(["sleep", "1000"]) });
  await manager.start(origin, "lost", "too");
  process.kill(shimPid("lost"), "SIGKILL");
  const exit = await daemon.wait("lost");
  assert.deepEqual([exit.status, exit.known], [137, false]);
  assert.deepEqual((await daemon.types("lost")).slice(-3), ["TaskShimLost", "ExecExited", "TaskExited"]);
  assert.equal(daemon.task("lost")!.shim, null);
  assert.ok(hasEnded(pid), "the container ends with its shim");
  assert.ok(!(await bundleIds()).includes("lost"));
  assert.deepEqual(await manager.pids({ namespace: daemon.namespace, id: "lost" }), []);
  await daemon.restart();
  await daemon.only("lost", "TaskExited");
  const deleted = await daemon.manager.delete(daemon.origin, "lost");
  assert.deepEqual(deleted.exit, exit);
});

test("a shim that died while the daemon was down is recorded as lost, once", async () => {
  const pid = await daemon.run("died", ["sleep", "1000"]);
  await daemon.stop();
  process.kill(shimPid("died"), "SIGKILL");
  await daemon.begin();
  assert.deepEqual((await daemon.types("died")).slice(-2), ["TaskShimLost", "TaskExited"]);
  const { status, known } = await daemon.only("died", "TaskExited");
  assert.deepEqual([status, known], [137, false]);
  assert.ok(hasEnded(pid));
  await daemon.restart();
  await daemon.only("died", "TaskShimLost");
});

test("a shim whose connection is cut but that lives on keeps its task", async () => {
  const pid = await daemon.run("cut", ["sleep", "1000"]);
  const before = await daemon.types("cut");
  const manager = daemon.manager;
  // As if the connection broke: the manager's own end is closed behind its back.
  const sockets = process.getActiveResourcesInfo().length;
  assert.ok(sockets > 0);
  await daemon.restart();
  assert.notEqual(daemon.manager, manager);
  assert.deepEqual(await daemon.types("cut"), before);
  assert.ok(!hasEnded(pid));
});

test("a hung shim keeps its task through a restart, holds up no other, and is taken over once it answers", async () => {
  const pid = await daemon.run("hung", ["sleep", "1000"]);
  await daemon.run("lively", ["sleep", "1000"]);
  const hung = shimPid("hung");
  const before = await daemon.types("hung");
  await daemon.stop();
  process.kill(hung, "SIGSTOP");
  try {
    await daemon.begin();
    assert.deepEqual(await daemon.types("hung"), before, "nothing is known of it");
    assert.equal((await daemon.manager.list(daemon.namespace)).tasks.find(({ key }) => key === "hung")!.row.status, "running");
    await daemon.kill("lively");
    assert.equal((await daemon.wait("lively")).status, 137);
  } finally {
    process.kill(hung, "SIGCONT");
  }
  await daemon.kill("hung");
  assert.equal((await daemon.wait("hung")).pid, pid);
  assert.equal(daemon.task("hung")!.exit!.known, true);
});

test("tasks of one group share a shim, and each ends without the other", async () => {
  const group = { annotations: { "io.containerd.runc.v2.group": "pod" } };
  await daemon.run("leader", ["sleep", "1000"], group);
  await daemon.run("member", ["sleep", "1000"], group);
  assert.equal(daemon.task("leader")!.shim!.address, daemon.task("member")!.shim!.address);
  await daemon.kill("leader");
  await daemon.wait("leader");
  const began = Date.now();
  await daemon.manager.delete(daemon.origin, "leader");
  assert.ok(Date.now() - began < 2_000, "nobody waits for a shim that goes on");
  await daemon.restart();
  assert.equal(daemon.task("member")!.status, "running");

  // One of the group without a row: its container goes, the shim and the other stay.
  await daemon.create("leader");
  await daemon.stop();
  const orphan = daemon.task("leader")!.pid;
  await daemon.withShim("leader", (shim) => shim.start(""));
  await daemon.record("leader", { type: "RecordDeleted", exit: { pid: orphan, status: 0, exitedAt: 1n, known: false } });
  await daemon.begin();
  assert.ok(hasEnded(orphan));
  assert.ok(!(await bundleIds()).includes("leader"));
  assert.equal(daemon.task("member")!.status, "running");
  await daemon.kill("member");
  assert.equal((await daemon.wait("member")).status, 137);
  assert.equal(daemon.task("member")!.exit!.known, true);
  await daemon.manager.delete(daemon.origin, "member");
  await eventually("the group's shim has ended", () => (shimsOf(daemon.workshop.address).some(({ id }) => id === "leader") ? undefined : true));
});
