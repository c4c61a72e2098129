import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Call } from "../../src/api/call.ts";
import { tasksService } from "../../src/api/tasks.ts";
import { ContentStore } from "../../src/content/mod.ts";
import { Files } from "../../src/platform/mod.ts";
import { SnapshotWorkers } from "../../src/snapshots/mod.ts";
import { tasks, TaskStatus } from "../../src/wire/mod.ts";
import { TaskDaemon } from "./task-daemon.ts";
import { processSpecOf } from "./workshop.ts";

let daemon: TaskDaemon;
let store: ContentStore;
const workers = new SnapshotWorkers(1);
let temporary: string;
before(async () => {
  daemon = await TaskDaemon.open();
  store = new ContentStore({ root: join(daemon.workshop.base, "content"), files: new Files() });
  await store.open();
  temporary = join(daemon.workshop.base, "mounts");
  await mkdir(temporary);
});
after(async () => {
  await workers.close();
  await daemon.remove();
});

const call = (): Call => ({
  principal: daemon.origin.principal,
  request: "r",
  metadata: new Map(),
  signal: new AbortController().signal,
  namespace: () => daemon.namespace,
  lease: undefined,
  origin: () => daemon.origin,
  position: undefined,
});

type Methods = (typeof tasks.TasksDefinition)["methods"];
type Partial_<K extends keyof Methods> = Parameters<Methods[K]["requestType"]["fromPartial"]>[0];

/** Calls a method as the wire would, and returns its reply and the position that goes with it. */
async function ask<K extends keyof Methods>(method: K, request: Partial_<K>) {
  const { manager, ledger } = daemon;
  const onLeftover = (error: Error) => assert.fail(error);
  const service = tasksService({ manager, ledger, store, onLeftover, apply: { workers, temporary } });
  const context = call();
  const handler = service[method] as unknown as (
    request: unknown,
    call: Call,
  ) => Promise<ReturnType<Methods[K]["responseType"]["decode"]>>;
  const requestType = tasks.TasksDefinition.methods[method].requestType as { fromPartial(from: unknown): unknown };
  return { reply: await handler(requestType.fromPartial(request), context), position: context.position };
}

const goZero = { seconds: -62_135_596_800n, nanos: 0 };

test("a process is described as containerd does, before and after its end", async () => {
  await daemon.container("one", ["sh", "-c", "exit 3"]);
  const rootfs = daemon.workshop.rootfs.map((mount) => ({ ...mount, options: [...mount.options] }));
  const created = await ask("create", { containerId: "one", rootfs });
  const { pid } = created.reply;
  assert.equal(created.reply.containerId, "one");
  const fields = { containerId: "", id: "one", pid, stdin: "", stdout: "", stderr: "", terminal: false };
  const got = await ask("get", { containerId: "one" });
  assert.deepEqual(got.reply.process, { ...fields, status: TaskStatus.CREATED, exitStatus: 0, exitedAt: goZero });
  assert.ok(got.position! >= created.position!);
  await ask("start", { containerId: "one" });
  const exited = await ask("wait", { containerId: "one" });
  assert.equal(exited.reply.exitStatus, 3);
  const stopped = { ...fields, status: TaskStatus.STOPPED, exitStatus: 3, exitedAt: exited.reply.exitedAt };
  assert.deepEqual((await ask("get", { containerId: "one" })).reply.process, stopped);
  assert.deepEqual((await ask("list", { filter: "ignored" })).reply.tasks, [stopped]);
  const deleted = await ask("delete", { containerId: "one" });
  assert.deepEqual(deleted.reply, { id: "", pid, exitStatus: 3, exitedAt: exited.reply.exitedAt });
  await assert.rejects(ask("get", { containerId: "one" }), { class: "NotFound", message: "task one not found" });
  assert.deepEqual((await ask("list", {})).reply.tasks, []);
});

test("an exec is described by its own id, and is paused with its task", async () => {
  const { typeUrl, value } = processSpecOf(["sleep", "1000"]);
  const spec = { typeUrl, value: Buffer.from(value) };
  await daemon.run("execs", ["sleep", "1000"]);
  await ask("exec", { containerId: "execs", execId: "e", stdout: "", spec });
  const status = async () => (await ask("get", { containerId: "execs", execId: "e" })).reply.process!;
  assert.deepEqual([(await status()).id, (await status()).status], ["e", TaskStatus.CREATED]);
  const { pid } = (await ask("start", { containerId: "execs", execId: "e" })).reply;
  assert.deepEqual([(await status()).pid, (await status()).status], [pid, TaskStatus.RUNNING]);
  await ask("pause", { containerId: "execs" });
  assert.equal((await status()).status, TaskStatus.PAUSED);
  await ask("resume", { containerId: "execs" });
  const { processes } = (await ask("listPids", { containerId: "execs" })).reply;
  assert.equal(processes.find((process) => process.pid === pid)?.info?.typeUrl, "containerd.runc.v1.ProcessDetails");
  await ask("kill", { containerId: "execs", execId: "e", signal: 9 });
  await ask("wait", { containerId: "execs", execId: "e" });
  const deleted = (await ask("deleteProcess", { containerId: "execs", execId: "e" })).reply;
  assert.deepEqual([deleted.id, deleted.pid, deleted.exitStatus], ["e", pid, 137]);
});

test("metrics are chosen by id and namespace, and a filter that is none is refused", async () => {
  await daemon.run("measured", ["sleep", "1000"]);
  const ids = async (...filters: string[]) => (await ask("metrics", { filters })).reply.metrics.map(({ id }) => id);
  assert.deepEqual(await ids("id==measured"), ["measured"]);
  assert.deepEqual(await ids("id==measured,namespace==elsewhere"), []);
  assert.deepEqual(await ids("runtime"), []);
  await assert.rejects(ids("id==="), { class: "Unknown", message: /^filters: parse error/ });
});

test("what containerd refuses is refused in its words", async () => {
  await daemon.container("refused", ["sleep", "1000"]);
  const absent = { class: "NotFound", message: `container "absent" in namespace "${daemon.namespace}": not found` };
  for (const method of ["create", "start", "delete", "get", "kill", "pause", "listPids", "wait"] as const) {
    await assert.rejects(ask(method, { containerId: "absent" }), absent);
  }
  for (const method of ["delete", "get", "resume", "listPids", "wait", "closeIO", "resizePty"] as const) {
    await assert.rejects(ask(method, { containerId: "refused" }), {
      class: "NotFound",
      message: "task refused not found",
    });
  }
  await assert.rejects(ask("exec", { containerId: "absent" }), {
    class: "InvalidArgument",
    message: "exec id cannot be empty",
  });
  await assert.rejects(
    ask("exec", { containerId: "execs", execId: "-x" }),
    /^ShiplogError: invalid exec id -x: identifier "-x" must match/,
  );
});

test("an update sets the limits of the container's processes, is kept, and is refused once they have ended", async () => {
  const resources = {
    typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources",
    value: Buffer.from(JSON.stringify({ pids: { limit: 77 } })),
  };
  await daemon.run("updated", ["sleep", "1000"]);
  const limits = async () => {
    const { pid } = (await ask("get", { containerId: "updated" })).reply.process!;
    const cgroups = (await readFile(`/proc/${pid}/cgroup`, "utf8")).split("\n");
    const group = cgroups.find((line) => line.includes(":pids:")) ?? cgroups[0]!;
    const hierarchy = group.includes(":pids:") ? "/sys/fs/cgroup/pids" : "/sys/fs/cgroup";
    return (await readFile(`${hierarchy}${group.split(":")[2]}/pids.max`, "utf8")).trim();
  };
  assert.equal(await limits(), "max");
  await ask("update", { containerId: "updated", resources });
  assert.equal(await limits(), "77");
  const row = daemon.ledger.view.tasks.get(daemon.namespace, "updated")!;
  assert.deepEqual(row.resources, resources);
  await ask("kill", { containerId: "updated", signal: 9 });
  await ask("wait", { containerId: "updated" });
  await assert.rejects(ask("update", { containerId: "updated", resources }), {
    message: /^cannot update a stopped container: unknown$/,
  });
  await assert.rejects(ask("update", { containerId: "absent", resources }), { class: "NotFound" });
});
