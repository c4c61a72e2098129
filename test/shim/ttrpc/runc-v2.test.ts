import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { StatusCode, socketPathOfAddress, TtrpcClient, TtrpcServer } from "../../../src/shim/ttrpc/mod.ts";
import { eventsTtrpc, payloads, runc, shim, TaskStatus, unixNanoFromTimestamp } from "../../../src/wire/mod.ts";

/** containerd's own shim, driven over ttrpc and calling back over it: the other implementation of the protocol. */
const program = "containerd-shim-runc-v2";
const run = promisify(execFile);
const Task = shim.TaskDefinition;
const namespace = "shiplog-test";
const execId = "";

/** Envelopes as the shim sends them; `next(topic)` waits for the next one with that topic. */
class Envelopes extends EventTarget {
  readonly seen: eventsTtrpc.Envelope[] = [];

  add(envelope: eventsTtrpc.Envelope): void {
    this.seen.push(envelope);
    this.dispatchEvent(new Event("envelope"));
  }

  async next(topic: string): Promise<Buffer> {
    for (;;) {
      const index = this.seen.findIndex((envelope) => envelope.topic === topic);
      if (index !== -1) return this.seen.splice(index, 1)[0]!.event!.value;
      await once(this, "envelope");
    }
  }
}

/** A running shim for one bundle, connected; it, its socket and its directory are gone after the test. */
async function startShim(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), "shiplog-shim-"));
  t.after(() => rm(directory, { recursive: true }));
  // The shim finds bundles by name: a bundle's directory is named by the container's id.
  const id = "one";
  const bundle = join(directory, id);
  await mkdir(join(bundle, "rootfs"), { recursive: true });
  await writeFile(join(bundle, "rootfs/init"), "");
  await chmod(join(bundle, "rootfs/init"), 0o755);
  await writeFile(join(bundle, "config.json"), JSON.stringify(spec(directory)));
  // The shim logs to this FIFO and waits until someone has it open to read; what little it logs fits in the pipe.
  await run("mkfifo", [join(bundle, "log")]);
  const log = await open(join(bundle, "log"), "r+");
  t.after(() => log.close());

  const envelopes = new Envelopes();
  const server = new TtrpcServer();
  server.register(eventsTtrpc.EventsDefinition, {
    forward: async ({ envelope }) => {
      envelopes.add(envelope!);
      return {};
    },
  });
  await server.listen(join(directory, "events"));
  t.after(() => server.close());

  const daemon = ["-namespace", namespace, "-address", join(directory, "grpc"), "-publish-binary", "/bin/true"];
  const starting = run(program, [...daemon, "-id", id, "start"], {
    cwd: bundle,
    env: { PATH: process.env.PATH, TTRPC_ADDRESS: join(directory, "events") },
    timeout: 10_000,
  });
  // It reads the runtime's options from its input to the end, also when there are none.
  starting.child.stdin!.end();
  const address = (await starting).stdout.trim();
  t.after(() => rm(socketPathOfAddress(address), { force: true }));
  const client = await TtrpcClient.connect(address);
  t.after(() => client.close());
  const { shimPid, taskPid } = await client.call(Task, "connect", { id });
  t.after(() => killIfItRuns(shimPid));
  return { id, bundle, directory, address, envelopes, client, shimPid, taskPid };
}

function spec(directory: string) {
  return {
    ociVersion: "1.0.2",
    process: { args: ["/init"], cwd: "/" },
    root: { path: "rootfs" },
    mounts: [{ destination: "/proc", type: "proc", source: "proc" }],
    linux: {
      cgroupsPath: `/${directory.slice(directory.lastIndexOf("/") + 1)}`,
      namespaces: [{ type: "pid" }, { type: "mount" }],
    },
  };
}

/** Whether the process runs; one that ended and is not reaped does not. */
async function runs(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  return text !== undefined && !/\) [ZX] /.test(text);
}

async function killIfItRuns(pid: number): Promise<void> {
  if (await runs(pid)) process.kill(pid, "SIGKILL");
}

/** Shuts the shim down and sees that nothing of it stays. Nothing tells when a process that is no child is gone: it asks. */
async function shutDown({ client, id, shimPid, address }: Awaited<ReturnType<typeof startShim>>): Promise<void> {
  await client.call(Task, "shutdown", { id, now: false });
  await client.closed;
  const deadline = AbortSignal.timeout(5_000);
  while (await runs(shimPid)) await delay(10, undefined, { signal: deadline });
  await assert.rejects(stat(socketPathOfAddress(address)), { code: "ENOENT" });
}

test("runc's shim answers with its errors and leaves when told to", { timeout: 30_000 }, async (t) => {
  const started = await startShim(t);
  const { client, id, shimPid, taskPid } = started;
  assert.ok(await runs(shimPid));
  assert.equal(taskPid, 0);
  await assert.rejects(client.call(Task, "state", { id, execId }), {
    name: "TtrpcError",
    code: StatusCode.NotFound,
    message: /^container not created/,
  });
  const v3 = { ...Task, fullName: "containerd.task.v3.Task" };
  await assert.rejects(client.call(v3, "connect", { id }), { code: StatusCode.Unimplemented });
  await shutDown(started);
});

test("a container lives and dies through runc's shim, which forwards its events", {
  timeout: 30_000,
}, async (t) => {
  const started = await startShim(t);
  const { client, id, bundle, directory, envelopes } = started;
  const options = runc.Options.encode(runc.Options.create({ root: join(directory, "runc") })).finish();
  const { pid } = await client.call(
    Task,
    "create",
    shim.CreateTaskRequest.create({
      id,
      bundle,
      options: { typeUrl: "containerd.runc.v1.Options", value: Buffer.from(options) },
    }),
    { timeoutMs: 20_000 },
  );
  t.after(() => killIfItRuns(pid));
  const create = payloads.TaskCreate.decode(await envelopes.next("/tasks/create"));
  assert.equal(create.containerId, id);
  assert.equal(create.pid, pid);
  const created = await client.call(Task, "state", { id, execId });
  assert.equal(created.status, TaskStatus.CREATED);
  assert.equal(unixNanoFromTimestamp(created.exitedAt), undefined);

  const wait = client.call(Task, "wait", { id, execId });
  await client.call(Task, "kill", { id, execId, signal: 9, all: false });
  const { exitStatus, exitedAt } = await wait;
  assert.equal(exitStatus, 137);
  assert.deepEqual(payloads.TaskExit.decode(await envelopes.next("/tasks/exit")), {
    containerId: id,
    id,
    pid,
    exitStatus: 137,
    exitedAt,
  });
  assert.deepEqual(await client.call(Task, "delete", { id, execId }), { pid, exitStatus: 137, exitedAt });
  await envelopes.next("/tasks/delete");
  await assert.rejects(client.call(Task, "state", { id, execId }), { code: StatusCode.NotFound });
  await shutDown(started);
});
