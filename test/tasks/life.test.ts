import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { type FileHandle, mkdir, mkdtemp, open, readdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { TaskDaemon } from "./task-daemon.ts";
import { hasEnded, noIo, processSpecOf, shimsOf } from "./workshop.ts";
import { eventually } from "../harness/eventually.ts";
import { runc } from "../../src/wire/mod.ts";

let daemon: TaskDaemon;
let fifos: string;
before(async () => {
  daemon = await TaskDaemon.open();
  fifos = await mkdtemp(join(tmpdir(), "shiplog-fifos-"));
});
after(async () => {
  await daemon.remove();
  await rm(fifos, { recursive: true });
});

const key = (id: string) => ({ namespace: daemon.namespace, id });

function fifo(name: string): string {
  const path = join(fifos, name);
  execFileSync("mkfifo", [path]);
  return path;
}

test("a task's whole life is recorded, each outcome with its intent as cause", async () => {
  await daemon.container("life", ["sh", "-c", "exit 7"]);
  const created = await daemon.create("life");
  const row = daemon.task("life")!;
  assert.deepEqual([row.status, row.pid], ["created", created.pid]);
  assert.match(await readFile(`/proc/${created.pid}/cmdline`, "utf8"), /runc/, "the process is there and blocked");
  assert.equal((await daemon.manager.start(daemon.origin, "life", "")).pid, created.pid);
  const exit = await daemon.wait("life");
  assert.deepEqual([exit.pid, exit.status, exit.known], [created.pid, 7, true]);
  assert.equal(daemon.task("life")!.pid, created.pid, "the pid stays after the exit");
  const { exit: deleted } = await daemon.manager.delete(daemon.origin, "life");
  assert.deepEqual(deleted, exit);
  const facts = await daemon.facts("life");
  const types = [
    "TaskCreating",
    "TaskCreated",
    "TaskStarting",
    "TaskStarted",
    "TaskExited",
    "TaskDeleting",
    "TaskDeleted",
  ];
  assert.deepEqual(
    facts.map(({ type }) => type),
    types,
  );
  const at = (type: string) => facts.find((fact) => fact.type === type)!;
  assert.equal(at("TaskCreated").cause, at("TaskCreating").position);
  assert.equal(at("TaskStarted").cause, at("TaskStarting").position);
  assert.equal(at("TaskDeleted").cause, at("TaskDeleting").position);
  assert.equal(at("TaskExited").principal.client, "shim");
  assert.deepEqual(await daemon.workshop.bundles.list(), []);
  await eventually("the shim has ended", () => (shimsOf(daemon.workshop.address).length === 0 ? true : undefined));
});

test("many tasks that end at once each have their whole history in order", async () => {
  const ids = Array.from({ length: 12 }, (_, index) => `short${index}`);
  await Promise.all(
    ids.map(async (id, index) => {
      await daemon.run(id, ["sh", "-c", `exit ${index}`]);
      assert.equal((await daemon.wait(id)).status, index);
      await daemon.manager.delete(daemon.origin, id);
      const types = [
        "TaskCreating",
        "TaskCreated",
        "TaskStarting",
        "TaskStarted",
        "TaskExited",
        "TaskDeleting",
        "TaskDeleted",
      ];
      assert.deepEqual(await daemon.types(id), types);
    }),
  );
});

test("every waiter is answered: those before the start, those after the exit, and those of a deleted task", async () => {
  await daemon.container("waited", ["sleep", "1000"]);
  await daemon.create("waited");
  const early = [daemon.wait("waited"), daemon.wait("waited")];
  await daemon.manager.start(daemon.origin, "waited", "");
  await daemon.kill("waited");
  const exits = await Promise.all([...early, daemon.wait("waited")]);
  assert.deepEqual(
    exits.map(({ status }) => status),
    [137, 137, 137],
  );
  assert.equal((await daemon.wait("waited")).status, 137);
  await daemon.manager.delete(daemon.origin, "waited");
  await assert.rejects(daemon.wait("waited"), { class: "NotFound", message: "task waited not found" });

  await daemon.create("waited");
  const waiting = daemon.wait("waited");
  const { exit } = await daemon.manager.delete(daemon.origin, "waited");
  assert.equal(exit.status, 137, "deleting a created task kills it");
  assert.deepEqual(await waiting, exit);
});

test("an exec has a life of its own, and its exit comes before init's", async () => {
  await daemon.run("execs", ["sleep", "1000"]);
  const { manager, origin } = daemon;
  await manager.exec(origin, "execs", { execId: "ends", io: noIo, spec: processSpecOf(["sh", "-c", "exit 5"]) });
  const waiting = daemon.wait("execs", "ends");
  const { pid } = await manager.start(origin, "execs", "ends");
  const exit = await waiting;
  assert.deepEqual([exit.pid, exit.status, exit.known], [pid, 5, true]);
  const deleted = await manager.deleteProcess(origin, "execs", "ends");
  assert.deepEqual(deleted.exit, exit);
  await assert.rejects(daemon.wait("execs", "ends"), {
    class: "NotFound",
    message: "process does not exist ends: not found",
  });

  await manager.exec(origin, "execs", { execId: "stays", io: noIo, spec: processSpecOf(["sleep", "1000"]) });
  await manager.start(origin, "execs", "stays");
  const pids = await manager.pids(key("execs"));
  assert.equal(pids.length, 2);
  await assert.rejects(manager.deleteProcess(origin, "execs", "stays"), {
    message: "cannot delete a running process: unknown",
  });
  await daemon.kill("execs", 9, "stays");
  assert.equal((await daemon.wait("execs", "stays")).status, 137);

  for (const execId of ["one", "two"]) {
    await manager.exec(origin, "execs", { execId, io: noIo, spec: processSpecOf(["sleep", "1000"]) });
    await manager.start(origin, "execs", execId);
  }
  await daemon.kill("execs");
  await daemon.wait("execs");
  const facts = await daemon.facts("execs");
  const init = facts.findIndex(({ type }) => type === "TaskExited");
  const exits = facts.flatMap((fact, index) => (fact.type === "ExecExited" ? [{ index, ...fact.data }] : []));
  assert.deepEqual(exits.map(({ execId }) => execId).sort(), ["ends", "one", "stays", "two"]);
  for (const { index, known } of exits) assert.ok(index < init && known);
});

test("execs of a container that shares the host's pids end with it, before it", async () => {
  await daemon.run("hostpid", ["sleep", "1000"], { hostPid: true });
  const { manager, origin } = daemon;
  await manager.exec(origin, "hostpid", { execId: "other", io: noIo, spec: processSpecOf(["sleep", "1000"]) });
  await manager.start(origin, "hostpid", "other");
  await daemon.kill("hostpid");
  await daemon.wait("hostpid");
  const ends = (await daemon.types("hostpid")).filter((type) => type.endsWith("Exited"));
  assert.deepEqual(ends, ["ExecExited", "TaskExited"]);
  const { status, known } = await daemon.only("hostpid", "ExecExited");
  assert.deepEqual([status, known], [137, true]);
});

test("an exec whose program is missing fails with runc's words and harms nothing", async () => {
  await daemon.run("missing", ["sleep", "1000"]);
  const { manager, origin } = daemon;
  await manager.exec(origin, "missing", { execId: "no", io: noIo, spec: processSpecOf(["nosuchprogram"]) });
  await assert.rejects(manager.start(origin, "missing", "no"), {
    class: "Unknown",
    message: /executable file not found in \$PATH: unknown$/,
  });
  await daemon.only("missing", "ExecStartFailed");
  await assert.rejects(manager.start(origin, "missing", "no"), /cannot start a stopped process/);
  await manager.deleteProcess(origin, "missing", "no");
  await assert.rejects(manager.exec(origin, "missing", { execId: "none", io: noIo, spec: null }), {
    class: "InvalidArgument",
  });
  await manager.exec(origin, "missing", { execId: "no", io: noIo, spec: processSpecOf(["true"]) });
  await manager.start(origin, "missing", "no");
  assert.equal((await daemon.wait("missing", "no")).status, 0);
});

test("an exec that only the shim knows of makes room for one of its name", async () => {
  await daemon.run("stale", ["sleep", "1000"]);
  const { manager, origin } = daemon;
  const request = { execId: "same", io: noIo, spec: processSpecOf(["sh", "-c", "exit 4"]) };
  await manager.exec(origin, "stale", request);
  await assert.rejects(manager.exec(origin, "stale", request), {
    class: "AlreadyExists",
    message: "id same: already exists",
  });
  const exit = { pid: 0, status: 0, exitedAt: 1n, known: false };
  await daemon.record("stale", { type: "RecordExecDeleted", execId: "same", exit });
  await manager.exec(origin, "stale", request);
  await manager.start(origin, "stale", "same");
  assert.equal((await daemon.wait("stale", "same")).status, 4);
});

test("pausing and resuming are recorded, and refused in the shim's words where they are wrong", async () => {
  await daemon.run("paused", ["sleep", "1000"]);
  const { manager, origin } = daemon;
  await manager.pause(origin, "paused");
  assert.equal(daemon.task("paused")!.status, "paused");
  await assert.rejects(manager.pause(origin, "paused"), {
    class: "Unknown",
    message: "cannot pause a paused container: unknown",
  });
  await assert.rejects(manager.delete(origin, "paused"), {
    message: "failed to delete task: cannot delete a paused process: unknown",
  });
  await manager.resume(origin, "paused");
  assert.equal(daemon.task("paused")!.status, "running");
  await assert.rejects(manager.resume(origin, "paused"), { message: "cannot resume a running process: unknown" });
});

test("a signal that the process takes is recorded, and one to a finished process is refused", async () => {
  await daemon.run("signals", ["sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done"]);
  await eventually("the trap is set", async () => {
    // The shell catches SIGTERM (bit 14) once the trap is in place. Before the shell there is runc's init, whose Go runtime catches
    // everything, SIGHUP (bit 0) included.
    const status = await readFile(`/proc/${daemon.task("signals")!.pid}/status`, "utf8");
    const caught = Number.parseInt(/SigCgt:\s*([0-9a-f]+)/.exec(status)![1]!.slice(-4), 16);
    return (caught & (1 << 14)) !== 0 && (caught & 1) === 0 ? true : undefined;
  });
  await daemon.kill("signals", 15);
  assert.equal((await daemon.wait("signals")).status, 3);
  const { signal, all } = await daemon.only("signals", "TaskSignalled");
  assert.deepEqual([signal, all], [15, false]);
  await assert.rejects(daemon.kill("signals"), { class: "NotFound", message: "process already finished: not found" });
});

test("standard input goes through a FIFO until it is closed, and output comes out of another", async () => {
  const io = { stdin: fifo("cat-in"), stdout: fifo("cat-out"), stderr: fifo("cat-err"), terminal: false };
  await daemon.container("cat", ["cat"]);
  const [input, output, errors] = (await Promise.all(
    [io.stdin, io.stdout, io.stderr].map((path) => open(path, "r+")),
  )) as [FileHandle, FileHandle, FileHandle];
  await daemon.create("cat", io);
  await daemon.manager.start(daemon.origin, "cat", "");
  await input.write("through the shim\n");
  const { buffer, bytesRead } = await output.read(Buffer.alloc(100), 0, 100);
  assert.equal(buffer.toString("utf8", 0, bytesRead), "through the shim\n");
  await daemon.manager.closeStdin(key("cat"), "");
  await input.close();
  assert.equal((await daemon.wait("cat")).status, 0);
  await Promise.all([output.close(), errors.close()]);
});

test("a terminal is resized", async () => {
  const io = { stdin: "", stdout: fifo("tty-out"), stderr: "", terminal: true };
  const script = "trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.05; done";
  await daemon.container("tty", ["sh", "-c", script], { terminal: true });
  const output = await open(io.stdout, "r+");
  await daemon.create("tty", io);
  await daemon.manager.start(daemon.origin, "tty", "");
  let seen = "";
  const until = async (text: string) => {
    while (!seen.includes(text)) {
      const { buffer, bytesRead } = await output.read(Buffer.alloc(100), 0, 100);
      seen += buffer.toString("utf8", 0, bytesRead);
    }
  };
  await until("ready");
  await daemon.manager.resizePty(key("tty"), "", 101, 57);
  await until("57 101");
  assert.equal((await daemon.wait("tty")).status, 0);
  await output.close();
});

test("with no reader on its output, a task's exit is recorded and its deletion ends", async () => {
  const io = { stdin: "", stdout: fifo("unread"), stderr: fifo("unread-err"), terminal: false };
  // Keeps the FIFO openable; nobody reads it, so what the container writes fills it up.
  const ends = await Promise.all([io.stdout, io.stderr].map((path) => open(path, "r+")));
  await daemon.container("unread", [
    "sh",
    "-c",
    "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done",
  ]);
  await daemon.create("unread", io);
  await daemon.manager.start(daemon.origin, "unread", "");
  const began = Date.now();
  await daemon.kill("unread");
  await daemon.wait("unread");
  assert.ok(Date.now() - began < 2_000);
  await daemon.manager.delete(daemon.origin, "unread");
  await Promise.all(ends.map((end) => end.close()));
});

test("a create that fails leaves nothing and tells the shim's own text", async () => {
  await daemon.container("broken", ["/no/such/program"]);
  await assert.rejects(daemon.create("broken"), {
    class: "Unknown",
    message: /^failed to create shim task: OCI runtime create failed: .*no such file or directory: unknown$/,
  });
  assert.deepEqual(await daemon.types("broken"), ["TaskCreating", "TaskCreateFailed"]);
  assert.equal(daemon.task("broken"), undefined);
  await daemon.container("shimless", ["true"], { runtime: "io.containerd.nosuch.v9" });
  await assert.rejects(daemon.create("shimless"), {
    message:
      /^failed to start shim: failed to resolve runtime path: runtime "io.containerd.nosuch.v9" binary not installed/,
  });
  await assert.rejects(daemon.create("recordless"), {
    class: "NotFound",
    message: `container "recordless" in namespace "${daemon.namespace}": not found`,
  });
  for (const id of ["broken", "shimless", "recordless"]) {
    assert.ok(!(await daemon.workshop.bundles.list()).some((bundle) => bundle.id === id));
    assert.ok(!shimsOf(daemon.workshop.address).some((shim) => shim.id === id));
  }
});

test("of two creates at once, one makes the task and the other is refused", async () => {
  await daemon.container("twice", ["sleep", "1000"]);
  const [one, other] = await Promise.allSettled([daemon.create("twice"), daemon.create("twice")]);
  assert.deepEqual([one?.status, other?.status], ["fulfilled", "rejected"]);
  assert.equal((other as PromiseRejectedResult).reason.message, "task twice: already exists");
  assert.equal(shimsOf(daemon.workshop.address).filter(({ id }) => id === "twice").length, 1);
});

test("a shim joins the cgroup that the options name", async () => {
  const name = `shiplog-shims-${process.pid}`;
  await makeCgroups(name);
  try {
    await daemon.container("charged", ["sleep", "1000"]);
    const value = runc.Options.encode(runc.Options.fromPartial({ shimCgroup: `/${name}` })).finish();
    const options = { typeUrl: "containerd.runc.v1.Options", value };
    const { rootfs } = daemon.workshop;
    await daemon.manager.create(daemon.origin, "charged", {
      rootfs,
      io: noIo,
      options,
      runtimePath: "",
      checkpoint: "",
    });
    const shim = shimsOf(daemon.workshop.address).find(({ id }) => id === "charged")!;
    assert.match(await readFile(`/proc/${shim.pid}/cgroup`, "utf8"), new RegExp(`:/${name}\n`));
    await daemon.manager.delete(daemon.origin, "charged");
    await eventually("the shim has ended", () => (hasEnded(shim.pid) ? true : undefined));
  } finally {
    await removeCgroups(name);
  }
});

const cgroupRoot = "/sys/fs/cgroup";

/** The directories of the cgroup: one per hierarchy, or one in all where there is only one. */
async function cgroupPaths(name: string): Promise<string[]> {
  if (existsSync(join(cgroupRoot, "cgroup.controllers"))) return [join(cgroupRoot, name)];
  const entries = await readdir(cgroupRoot, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(cgroupRoot, entry.name, name));
}

/** Makes the cgroup in every hierarchy; that of cpusets takes no process before it has been given processors and memory. */
async function makeCgroups(name: string): Promise<void> {
  for (const path of await cgroupPaths(name)) {
    await mkdir(path);
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      const above = join(path, "..", file);
      if (existsSync(above)) await writeFile(join(path, file), await readFile(above));
    }
  }
}

async function removeCgroups(name: string): Promise<void> {
  for (const path of await cgroupPaths(name)) await rmdir(path);
}

test("metrics come from the shims that answer", async () => {
  await daemon.run("measured", ["sleep", "1000"]);
  const metrics = await daemon.manager.metrics(daemon.namespace, ["measured", "nobody"]);
  assert.deepEqual(
    metrics.map(({ id }) => id),
    ["measured"],
  );
  assert.match(metrics[0]!.stats!.typeUrl, /^io\.containerd\.cgroups\.v[12]\.Metrics$/);
});
