import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { whenDurable } from "../../src/shim/publisher/mod.ts";
import { StatusCode, TtrpcClient } from "../../src/shim/ttrpc/mod.ts";
import { eventsTtrpc, type MessageCodec, payloads, timestampFromUnixNano } from "../../src/wire/mod.ts";
import { TaskDaemon } from "./task-daemon.ts";
import { noIo, processSpecOf } from "./workshop.ts";

let daemon: TaskDaemon;
let client: TtrpcClient;
before(async () => {
  daemon = await TaskDaemon.open();
  client = await TtrpcClient.connect(`unix://${daemon.workshop.ttrpcAddress}`);
});
after(async () => {
  client.close();
  await daemon.remove();
});

async function forward<T>(
  topic: string,
  typeUrl: string,
  codec: MessageCodec<T>,
  payload: T,
  namespace = daemon.namespace,
  metadata: Readonly<Record<string, string>> = {},
) {
  const event = { typeUrl, value: Buffer.from(codec.encode(payload).finish()) };
  const envelope = { timestamp: timestampFromUnixNano(1_000_000_000n), namespace, topic, event };
  await client.call(eventsTtrpc.EventsDefinition, "forward", { envelope }, { metadata });
}

const exitOf = (
  containerId: string,
  id: string,
  pid: number,
  exitStatus: number,
  nano: bigint | undefined,
  metadata = {},
) => {
  const exit = { containerId, id, pid, exitStatus, exitedAt: timestampFromUnixNano(nano) };
  return forward("/tasks/exit", "containerd.events.TaskExit", payloads.TaskExit, exit, daemon.namespace, metadata);
};

/** As a shim tells it that keeps the exit until it is answered. */
const durableExitOf = (containerId: string, id: string, pid: number, exitStatus: number, nano: bigint) =>
  exitOf(containerId, id, pid, exitStatus, nano, { [whenDurable]: "true" });

test("an exit that is reported many times is recorded once, as it was first told", async () => {
  const pid = await daemon.run("often", ["sleep", "1000"]);
  await Promise.all([1, 2, 3].map(() => exitOf("often", "often", pid, 42, 5_000n)));
  assert.deepEqual(await daemon.wait("often"), { pid, status: 42, exitedAt: 5_000n, known: true });
  await daemon.withShim("often", (shim) => shim.kill("", 9, false));
  await daemon.withShim("often", (shim) => shim.wait(""));
  await exitOf("often", "often", pid, 43, 6_000n);
  assert.equal((await daemon.only("often", "TaskExited")).status, 42);
});

test("an exit whose shim keeps it until it is durable is answered when it is", async () => {
  const pid = await daemon.run("kept", ["sleep", "1000"]);
  await durableExitOf("kept", "kept", pid, 42, 5_000n);
  assert.equal(daemon.task("kept")!.exit?.status, 42);
  await durableExitOf("kept", "kept", pid, 42, 5_000n);
  await daemon.only("kept", "TaskExited");
  await durableExitOf("nobody", "nobody", 1, 0, 5_000n);
  await daemon.withShim("kept", (shim) => shim.kill("", 9, false));
});

test("an exit that cannot be recorded yet is not taken from a shim that keeps it", async () => {
  const { bundles, rootfs } = daemon.workshop;
  const intent = {
    bundle: bundles.pathOf({ namespace: daemon.namespace, id: "early" }),
    runtime: "io.containerd.runc.v2",
  };
  await daemon.record("early", {
    type: "CreateTask",
    id: "early",
    ...intent,
    rootfs,
    io: noIo,
    options: null,
    checkpoint: "",
  });
  await assert.rejects(durableExitOf("early", "early", 77, 3, 5_000n), { code: StatusCode.Unavailable });
  await daemon.record("early", { type: "RecordCreateFailed", message: "it ended at once" });
  await durableExitOf("early", "early", 77, 3, 5_000n);
});

test("the exit of an earlier exec is not taken for that of the one that has its name now", async () => {
  await daemon.run("names", ["sleep", "1000"]);
  const { manager, origin } = daemon;
  const exec = async () => {
    await manager.exec(origin, "names", { execId: "e", io: noIo, spec: processSpecOf(["sleep", "1000"]) });
    return (await manager.start(origin, "names", "e")).pid;
  };
  const earlier = await exec();
  await daemon.kill("names", 9, "e");
  await daemon.wait("names", "e");
  await manager.deleteProcess(origin, "names", "e");
  await manager.exec(origin, "names", { execId: "e", io: noIo, spec: processSpecOf(["sleep", "1000"]) });
  await durableExitOf("names", "e", earlier, 3, 5_000n);
  await manager.start(origin, "names", "e");
  await durableExitOf("names", "e", earlier, 3, 5_000n);
  assert.equal(daemon.task("names")!.execs.e!.exit, null);
});

test("a kill for want of memory that is told again is one fact", async () => {
  await daemon.run("hungry", ["sleep", "1000"]);
  const told = () => forward("/tasks/oom", "containerd.events.TaskOOM", payloads.TaskOOM, { containerId: "hungry" });
  await told();
  await daemon.restart();
  client.close();
  client = await TtrpcClient.connect(`unix://${daemon.workshop.ttrpcAddress}`);
  await told();
  assert.equal((await daemon.only("hungry", "TaskOomed")).at, 1_000_000_000n);
});

test("the exit of an earlier task is not taken for that of the one that has its name now", async () => {
  const earlier = await daemon.run("again", ["sleep", "1000"]);
  await daemon.kill("again");
  await daemon.wait("again");
  await daemon.manager.delete(daemon.origin, "again");
  const { pid } = await daemon.create("again");
  await exitOf("again", "again", earlier, 42, 5_000n);
  await daemon.manager.start(daemon.origin, "again", "");
  await daemon.kill("again");
  const exit = await daemon.wait("again");
  assert.deepEqual([exit.pid, exit.status], [pid, 137]);
});

test("an out-of-memory kill is recorded once, before the exit when it is told before", async () => {
  await daemon.run("oom", ["sleep", "1000"]);
  const oom = () => forward("/tasks/oom", "containerd.events.TaskOOM", payloads.TaskOOM, { containerId: "oom" });
  await Promise.all([oom(), oom()]);
  assert.equal(daemon.task("oom")!.oomed, true);
  await daemon.kill("oom");
  await daemon.wait("oom");
  const types = (await daemon.types("oom")).filter((type) => type === "TaskOomed" || type === "TaskExited");
  assert.deepEqual(types, ["TaskOomed", "TaskExited"]);
});

test("a container that runs out of memory is recorded as such", async () => {
  const hog = "x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done";
  await daemon.run("hog", ["sh", "-c", hog], { memoryBytesMax: 8 * 1024 * 1024 });
  assert.equal((await daemon.wait("hog")).status, 137);
  // The shim tells of it in a call of its own, which may come after the exit.
  const { row } = await daemon.ledger
    .until(
      { kind: "task", namespace: daemon.namespace, key: "hog" },
      (view) => {
        const row = view.tasks.get(daemon.namespace, "hog")!;
        return row.oomed ? { row } : undefined;
      },
      AbortSignal.timeout(5_000),
    )
    .then(({ value }) => value);
  assert.equal(row.oomed, true);
});

test("an exit that a shim tells before the daemon has taken it over does not hide how the execs ended", async () => {
  const pid = await daemon.run("early", ["sleep", "1000"]);
  await daemon.manager.exec(daemon.origin, "early", { execId: "e", io: noIo, spec: processSpecOf(["sleep", "1000"]) });
  await daemon.manager.start(daemon.origin, "early", "e");
  await daemon.stop();
  await daemon.withShim("early", async (shim) => {
    await shim.kill("e", 12, false);
    await shim.wait("e");
    await shim.kill("", 9, false);
    await shim.wait("");
  });
  await daemon.begin(async () => {
    client.close();
    client = await TtrpcClient.connect(`unix://${daemon.workshop.ttrpcAddress}`);
    await exitOf("early", "early", pid, 137, 7_000n);
  });
  const { status, known } = await daemon.only("early", "ExecExited");
  assert.deepEqual([status, known], [140, true]);
  assert.equal((await daemon.only("early", "TaskExited")).status, 137);
});

test("events about a task that is not there make none", async () => {
  await exitOf("nobody", "nobody", 1, 1, 1n);
  await forward("/tasks/oom", "containerd.events.TaskOOM", payloads.TaskOOM, { containerId: "nobody" });
  await forward("/tasks/start", "containerd.events.TaskStart", payloads.TaskStart, { containerId: "nobody", pid: 1 });
  await exitOf("often", "noexec", 1, 1, 1n);
  assert.equal(daemon.task("nobody"), undefined);
  assert.deepEqual(await daemon.types("nobody"), []);
  assert.ok(!(await daemon.types("often")).includes("ExecExited"));
});

test("an event of a topic that is no task's is published as it came", async () => {
  await forward("/custom/thing", "containerd.events.TaskOOM", payloads.TaskOOM, { containerId: "x" });
  const row = daemon.ledger.view.events.get(daemon.namespace, "/custom/thing");
  assert.equal(row?.count, 1);
});

test("an envelope that is none is refused", async () => {
  const oom = { containerId: "x" };
  const send = (topic: string, namespace = daemon.namespace) => forward(topic, "t", payloads.TaskOOM, oom, namespace);
  await assert.rejects(send("tasks/oom"), /envelope topic "tasks\/oom": must start with '\/'/);
  await assert.rejects(send("/"), /must have at least one component/);
  await assert.rejects(send("/a//b"), /failed validation on component/);
  await assert.rejects(send("/a", "-"), /event envelope has invalid namespace/);
});
