import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { TaskDaemon } from "./task-daemon.ts";
import { hasEnded, noIo, processSpecOf, shimBinary, shimsOf } from "./workshop.ts";
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
  assert.deepEqual(
    ends.map(({ type }) => type),
    ["ExecExited", "TaskExited"],
  );
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

test("another maker's shim that is killed is recorded as lost, once, and its task can be deleted", async () => {
  const pid = await daemon.run("lost", ["sleep", "1000"], { runtime: shimBinary });
  const { manager, origin } = daemon;
  await manager.exec(origin, "lost", { execId: "too", io: noIo, spec: processSpecOf(["sleep", "1000"]) });
  await manager.start(origin, "lost", "too");
  process.kill(shimPid("lost"), "SIGKILL");
  const exit = await daemon.wait("lost");
  assert.deepEqual([exit.status, exit.known], [137, true], "the daemon has seen it end");
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

test("another maker's shim that died while the daemon was down is recorded as lost, once", async () => {
  const pid = await daemon.run("died", ["sleep", "1000"], { runtime: shimBinary });
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

test("a shim that lives on after its connection was cut keeps its task", async () => {
  await daemon.run("cut", ["sleep", "1000"]);
  const endpoint = daemon.task("cut")!.shim!;
  const relay = await openRelay(join(daemon.workshop.base, "relay.sock"), endpoint.address.slice("unix://".length));
  const { pid } = daemon.task("cut")!;
  await daemon.record("cut", { type: "RecordExited", exit: { pid, status: 1, exitedAt: 1n, known: true } });
  await daemon.record("cut", { type: "RecordDeleted", exit: { pid, status: 1, exitedAt: 1n, known: true } });
  await daemon.stop();
  // The same task again, on record as served through the relay.
  const { bundles, rootfs } = daemon.workshop;
  const intent = {
    id: "cut",
    bundle: bundles.pathOf({ namespace: daemon.namespace, id: "cut" }),
    runtime: "io.containerd.runc.v2",
  };
  await daemon.record("cut", { type: "CreateTask", ...intent, rootfs, io: noIo, options: null, checkpoint: "" });
  await daemon.record("cut", { type: "RecordCreated", pid, shim: { address: `unix://${relay.path}`, version: 2 } });
  await daemon.begin();
  const before = await daemon.types("cut");
  assert.equal(daemon.task("cut")!.status, "running");
  const connections = relay.connections();
  relay.cut();
  await eventually("a new connection", () => (relay.connections() > connections ? true : undefined));
  await daemon.kill("cut");
  assert.equal((await daemon.wait("cut")).status, 137);
  const types = await daemon.types("cut");
  assert.deepEqual(
    types.filter((type) => type === "TaskShimLost"),
    [],
  );
  assert.deepEqual(types.slice(0, before.length), before);
  await daemon.manager.delete(daemon.origin, "cut");
  relay.close();
});

/** A socket whose connections all lead on to another, until they are cut. */
async function openRelay(path: string, target: string) {
  const open = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    const onward = connect(target);
    for (const end of [socket, onward]) {
      open.add(end);
      end.on("error", () => {});
    }
    socket.pipe(onward).pipe(socket);
  });
  server.listen(path);
  await once(server, "listening");
  const cut = () => {
    for (const end of open) end.destroy();
    open.clear();
  };
  return {
    path,
    connections: () => connections,
    cut,
    close() {
      cut();
      server.close();
    },
  };
}

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
    assert.equal(
      (await daemon.manager.list(daemon.namespace)).tasks.find(({ key }) => key === "hung")!.row.status,
      "running",
    );
    const killing = daemon.kill("hung");
    await daemon.kill("lively");
    assert.equal((await daemon.wait("lively")).status, 137);
    process.kill(hung, "SIGCONT");
    await killing;
  } finally {
    process.kill(hung, "SIGCONT");
  }
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
  await daemon.record("leader", {
    type: "RecordDeleted",
    exit: { pid: orphan, status: 0, exitedAt: 1n, known: false },
  });
  await daemon.begin();
  assert.ok(hasEnded(orphan));
  assert.ok(!(await bundleIds()).includes("leader"));
  assert.equal(daemon.task("member")!.status, "running");
  await daemon.kill("member");
  assert.equal((await daemon.wait("member")).status, 137);
  assert.equal(daemon.task("member")!.exit!.known, true);
  await daemon.manager.delete(daemon.origin, "member");
  await eventually("the group's shim has ended", () =>
    shimsOf(daemon.workshop.address).some(({ id }) => id === "leader") ? undefined : true,
  );
});
