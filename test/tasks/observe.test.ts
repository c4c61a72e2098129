import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { TtrpcClient } from "../../src/shim/ttrpc/mod.ts";
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
) {
  const event = { typeUrl, value: Buffer.from(codec.encode(payload).finish()) };
  await client.call(eventsTtrpc.EventsDefinition, "forward", {
    envelope: { timestamp: timestampFromUnixNano(1_000_000_000n), namespace, topic, event },
  });
}

const exitOf = (containerId: string, id: string, pid: number, exitStatus: number, nano: bigint | undefined) =>
  forward("/tasks/exit", "containerd.events.TaskExit", payloads.TaskExit, {
    containerId,
    id,
    pid,
    exitStatus,
    exitedAt: timestampFromUnixNano(nano),
  });

test("an exit that is reported many times is recorded once, as it was first told", async () => {
  const pid = await daemon.run("often", ["sleep", "1000"]);
  await Promise.all([1, 2, 3].map(() => exitOf("often", "often", pid, 42, 5_000n)));
  assert.deepEqual(await daemon.wait("often"), { pid, status: 42, exitedAt: 5_000n, known: true });
  await daemon.withShim("often", (shim) => shim.kill("", 9, false));
  await daemon.withShim("often", (shim) => shim.wait(""));
  await exitOf("often", "often", pid, 43, 6_000n);
  assert.equal((await daemon.only("often", "TaskExited")).status, 42);
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
