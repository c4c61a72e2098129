/** Each intent that a crash can leave open, with the shim in each state that it can be in then. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { TaskCommand } from "../../src/machines/mod.ts";
import { ShimConnection } from "../../src/tasks/shim-connection.ts";
import { ShimLog } from "../../src/tasks/shim-log.ts";
import { TaskDaemon } from "./task-daemon.ts";
import { eventually, hasEnded, logger, noIo, processSpecOf, shimBinary, shimsOf, specOf } from "./workshop.ts";

let daemon: TaskDaemon;
before(async () => {
  daemon = await TaskDaemon.open();
});
after(() => daemon.remove());

const key = (id: string) => ({ namespace: daemon.namespace, id });
const never = new AbortController().signal;

async function nothingIsLeftOf(id: string): Promise<void> {
  assert.equal(daemon.task(id), undefined);
  assert.ok(!(await daemon.workshop.bundles.list()).some((bundle) => bundle.id === id), "no bundle");
  assert.ok(!shimsOf(daemon.workshop.address).some((shim) => shim.id === id), "no shim");
}

/** The facts from the first of `type` on. */
async function since(id: string, type: string): Promise<string[]> {
  const types = await daemon.types(id);
  return types.slice(types.indexOf(type));
}

/** Records the intent to create, as the daemon does before anything else. */
async function beginCreate(id: string, args: readonly string[]): Promise<void> {
  await daemon.container(id, args);
  const { bundles, rootfs } = daemon.workshop;
  const command: TaskCommand = {
    type: "CreateTask",
    id,
    bundle: bundles.pathOf(key(id)),
    runtime: "io.containerd.runc.v2",
    rootfs,
    io: noIo,
    options: null,
    checkpoint: "",
  };
  await daemon.record(id, command);
}

/** Makes the bundle and starts its shim, as far as create does before it asks for the container. */
async function launch(id: string, args: readonly string[]) {
  const bundle = await daemon.workshop.bundles.create(key(id), specOf(key(id), args).value);
  const log = new ShimLog(bundle, logger);
  const endpoint = await daemon.workshop.launcher.start(shimBinary, key(id), bundle, null);
  const shim = await ShimConnection.dial(key(id), endpoint, never);
  const { rootfs } = daemon.workshop;
  return {
    endpoint,
    shim,
    create: () => shim.create({ bundle, rootfs, io: noIo, options: null, checkpoint: "" }),
    end() {
      shim.close();
      log.close();
    },
  };
}

test("a create that had done nothing yet has failed", async () => {
  await beginCreate("intended", ["true"]);
  await daemon.restart();
  assert.deepEqual(await daemon.types("intended"), ["TaskCreating", "TaskCreateFailed"]);
  await nothingIsLeftOf("intended");
});

test("a create that had made its bundle has failed, and the bundle goes", async () => {
  await beginCreate("bundled", ["true"]);
  await daemon.workshop.bundles.create(key("bundled"), specOf(key("bundled"), ["true"]).value);
  await daemon.restart();
  assert.deepEqual(await daemon.types("bundled"), ["TaskCreating", "TaskCreateFailed"]);
  await nothingIsLeftOf("bundled");
});

test("a create whose shim runs without a container has failed, and the shim goes", async () => {
  await beginCreate("launched", ["true"]);
  const launched = await launch("launched", ["true"]);
  launched.end();
  await daemon.restart();
  assert.deepEqual(await daemon.types("launched"), ["TaskCreating", "TaskCreateFailed"]);
  await nothingIsLeftOf("launched");
});

test("a create whose container is there has succeeded, and the task can be started", async () => {
  await beginCreate("made", ["sh", "-c", "exit 8"]);
  const { endpoint, create, end } = await launch("made", ["sh", "-c", "exit 8"]);
  const pid = await create();
  end();
  await daemon.restart();
  assert.deepEqual(await daemon.types("made"), ["TaskCreating", "TaskCreated"]);
  assert.deepEqual([daemon.task("made")!.pid, daemon.task("made")!.shim], [pid, endpoint]);
  await daemon.manager.start(daemon.origin, "made", "");
  assert.equal((await daemon.wait("made")).status, 8);
});

test("a create whose container was killed meanwhile has succeeded, and its exit is recorded", async () => {
  await beginCreate("made-ended", ["true"]);
  const { shim, create, end } = await launch("made-ended", ["true"]);
  await create();
  await shim.kill("", 9, false);
  await shim.wait("");
  end();
  await daemon.restart();
  assert.deepEqual(await daemon.types("made-ended"), ["TaskCreating", "TaskCreated", "TaskExited"]);
});

test("a start command that outlived the daemon is ended together with the shim that it has begun", async () => {
  await beginCreate("helper", ["true"]);
  const bundle = await daemon.workshop.bundles.create(key("helper"), specOf(key("helper"), ["true"]).value);
  const log = new ShimLog(bundle, logger);
  const args = [
    "-namespace",
    daemon.namespace,
    "-address",
    daemon.workshop.address,
    "-publish-binary",
    "/bin/true",
    "-id",
    "helper",
    "start",
  ];
  // It reads options to their end before it answers, and gets none.
  const helper = spawn(shimBinary, args, { cwd: bundle, detached: true, stdio: ["pipe", "ignore", "ignore"] });
  const exited = once(helper, "exit");
  await eventually(
    () => shimsOf(daemon.workshop.address).filter(({ id }) => id === "helper").length === 2,
    "command and shim run",
  );
  log.close();
  await daemon.restart();
  assert.deepEqual((await exited)[1], "SIGKILL");
  await nothingIsLeftOf("helper");
});

test("a start command that has not begun its shim yet never does", async () => {
  await beginCreate("slow", ["true"]);
  const bundle = await daemon.workshop.bundles.create(key("slow"), specOf(key("slow"), ["true"]).value);
  const script = join(daemon.workshop.base, "slow-shim");
  const begun = join(daemon.workshop.base, "begun");
  await writeFile(script, `#!/bin/sh\nread line\ntouch ${begun}\nexec ${shimBinary} "$@"\n`, { mode: 0o755 });
  const args = [
    "-namespace",
    daemon.namespace,
    "-address",
    daemon.workshop.address,
    "-publish-binary",
    "/bin/true",
    "-id",
    "slow",
    "start",
  ];
  const helper = spawn(script, args, { cwd: bundle, detached: true, stdio: ["pipe", "ignore", "ignore"] });
  const exited = once(helper, "exit");
  await eventually(() => shimsOf(daemon.workshop.address).some(({ id }) => id === "slow"), "the command runs");
  await daemon.restart();
  assert.deepEqual((await exited)[1], "SIGKILL");
  await nothingIsLeftOf("slow");
});

test("a start that the shim has not carried out has failed, and can be repeated", async () => {
  await daemon.container("unstarted", ["sh", "-c", "exit 2"]);
  await daemon.create("unstarted");
  await daemon.stop();
  await daemon.record("unstarted", { type: "StartTask", id: "unstarted" });
  await daemon.begin();
  assert.deepEqual(await since("unstarted", "TaskStarting"), ["TaskStarting", "TaskStartFailed"]);
  await daemon.manager.start(daemon.origin, "unstarted", "");
  assert.equal((await daemon.wait("unstarted")).status, 2);
});

test("a start that the shim has carried out has succeeded", async () => {
  await daemon.container("started", ["sleep", "1000"]);
  const { pid } = await daemon.create("started");
  await daemon.stop();
  await daemon.record("started", { type: "StartTask", id: "started" });
  await daemon.withShim("started", (shim) => shim.start(""));
  await daemon.begin();
  assert.deepEqual(await since("started", "TaskStarting"), ["TaskStarting", "TaskStarted"]);
  assert.equal((await daemon.only("started", "TaskStarted")).pid, pid);
});

test("a start whose process has ended since has succeeded, and its exit is recorded with the true code", async () => {
  await daemon.container("quick", ["sh", "-c", "exit 11"]);
  await daemon.create("quick");
  await daemon.stop();
  await daemon.record("quick", { type: "StartTask", id: "quick" });
  await daemon.withShim("quick", async (shim) => {
    await shim.start("");
    await shim.wait("");
  });
  await daemon.begin();
  assert.deepEqual(await since("quick", "TaskStarting"), ["TaskStarting", "TaskStarted", "TaskExited"]);
  assert.equal((await daemon.only("quick", "TaskExited")).status, 11);
});

test("a start whose shim is gone has failed, and the task is lost where no other shim can take its place", async () => {
  await daemon.container("startlost", ["sleep", "1000"], { runtime: shimBinary });
  const { pid } = await daemon.create("startlost");
  await daemon.stop();
  await daemon.record("startlost", { type: "StartTask", id: "startlost" });
  process.kill(shimsOf(daemon.workshop.address).find(({ id }) => id === "startlost")!.pid, "SIGKILL");
  await daemon.begin();
  assert.deepEqual(await since("startlost", "TaskStarting"), [
    "TaskStarting",
    "TaskStartFailed",
    "TaskShimLost",
    "TaskExited",
  ]);
  assert.ok(hasEnded(pid));
});

test("an exec's open start is closed as the shim tells it, in every state that it can be in", async () => {
  await daemon.run("execs", ["sleep", "1000"]);
  const { manager, origin } = daemon;
  for (const execId of ["idle", "runs", "ended", "deleted"]) {
    const args = execId === "runs" ? ["sleep", "1000"] : ["sh", "-c", "exit 12"];
    await manager.exec(origin, "execs", { execId, io: noIo, spec: processSpecOf(args) });
  }
  await daemon.stop();
  for (const execId of ["idle", "runs", "ended", "deleted"])
    await daemon.record("execs", { type: "StartExec", id: "execs", execId });
  await daemon.withShim("execs", async (shim) => {
    for (const execId of ["runs", "ended", "deleted"]) await shim.start(execId);
    for (const execId of ["ended", "deleted"]) await shim.wait(execId);
    await shim.delete("deleted");
  });
  await daemon.begin();
  const facts = (await daemon.facts("execs")).filter(({ type }) => type.startsWith("Exec"));
  const of = (execId: string) =>
    facts.filter(({ data }) => (data as { execId: string }).execId === execId).map(({ type }) => type);
  assert.deepEqual(of("idle"), ["ExecAdded", "ExecStarting", "ExecStartFailed"]);
  assert.deepEqual(of("runs"), ["ExecAdded", "ExecStarting", "ExecStarted"]);
  assert.deepEqual(of("ended"), ["ExecAdded", "ExecStarting", "ExecStarted", "ExecExited"]);
  // Shims from 1.7 on send the events again that nobody took, and so tell how it went; from an older one nobody learns it.
  const ran = of("deleted").includes("ExecExited");
  assert.deepEqual(of("deleted"), [
    "ExecAdded",
    "ExecStarting",
    ...(ran ? ["ExecStarted", "ExecExited"] : ["ExecStartFailed"]),
    "ExecDeleted",
  ]);
  for (const { type, data } of facts) if (type === "ExecExited") assert.equal((data as { status: number }).status, 12);
  await daemon.kill("execs", 9, "runs");
  assert.equal((await daemon.wait("execs", "runs")).status, 137, "what was found running is watched");
});

test("an open deletion is carried through, wherever it was", async () => {
  const ids = ["whole", "emptied", "shimless", "bare", "unstarted-gone"];
  for (const id of ids) {
    if (id === "unstarted-gone") {
      await daemon.container(id, ["true"]);
      await daemon.create(id);
    } else {
      await daemon.run(id, ["sh", "-c", "exit 3"]);
      await daemon.wait(id);
    }
  }
  await daemon.stop();
  for (const id of ids) await daemon.record(id, { type: "DeleteTask", id });
  await daemon.withShim("emptied", (shim) => shim.delete(""));
  for (const id of ["shimless", "bare"]) {
    await daemon.withShim(id, async (shim) => {
      await shim.delete("");
      await shim.shutdown();
    });
    // Nobody takes its events now, so it would take its time.
    process.kill(shimsOf(daemon.workshop.address).find((shim) => shim.id === id)!.pid, "SIGKILL");
  }
  await daemon.workshop.bundles.remove(key("bare"));
  await daemon.begin();
  for (const id of ids) {
    await nothingIsLeftOf(id);
    const { status, known } = await daemon.only(id, "TaskDeleted");
    assert.deepEqual([status, known], id === "unstarted-gone" ? [137, true] : [3, true], id);
    await daemon.only(id, "TaskExited");
  }
});

test("a signal whose process died of it arrived; of any other nobody knows", async () => {
  for (const id of ["struck", "spared"]) await daemon.run(id, ["sleep", "1000"]);
  await daemon.stop();
  const signal = { execId: "", signal: 9, all: false };
  for (const id of ["struck", "spared"]) await daemon.record(id, { type: "SignalTask", id, ...signal });
  await daemon.withShim("struck", async (shim) => {
    await shim.kill("", 9, false);
    await shim.wait("");
  });
  await daemon.begin();
  const [asked, ...outcomes] = await since("struck", "TaskSignalling");
  // A shim from 1.7 on may tell of the exit again before the signal is looked into.
  assert.deepEqual([asked, outcomes.sort()], ["TaskSignalling", ["TaskExited", "TaskSignalled"]]);
  assert.deepEqual(await since("spared", "TaskSignalling"), ["TaskSignalling", "TaskSignalFailed"]);
});

test("a pause or a resume that nobody recorded is recorded", async () => {
  await daemon.run("frozen", ["sleep", "1000"]);
  await daemon.run("thawed", ["sleep", "1000"]);
  await daemon.manager.pause(daemon.origin, "thawed");
  await daemon.stop();
  await daemon.withShim("frozen", (shim) => shim.pause());
  await daemon.withShim("thawed", (shim) => shim.resume());
  await daemon.begin();
  assert.deepEqual((await daemon.types("frozen")).at(-1), "TaskPaused");
  assert.deepEqual((await daemon.types("thawed")).at(-1), "TaskResumed");
  await daemon.manager.resume(daemon.origin, "frozen");
});

test("a shim, its container and its bundle that no row owns are cleared away", async () => {
  const { bundles, rootfs } = daemon.workshop;
  const intent = {
    id: "leftover",
    bundle: bundles.pathOf(key("leftover")),
    runtime: "io.containerd.runc.v2",
    rootfs,
    io: noIo,
  };
  await daemon.record("leftover", { type: "CreateTask", ...intent, options: null, checkpoint: "" });
  await daemon.record("leftover", { type: "RecordCreateFailed", message: "a crash kept it from being cleared away" });
  const { shim, create, end } = await launch("leftover", ["sleep", "1000"]);
  const pid = await create();
  await shim.start("");
  end();
  await daemon.workshop.bundles.writeShimBinaryPath(key("leftover"), shimBinary);
  await daemon.restart();
  await nothingIsLeftOf("leftover");
  assert.ok(hasEnded(pid));
});

test("a bundle that no row owns makes way for a task of its name", async () => {
  await daemon.container("again", ["sh", "-c", "exit 1"]);
  const leftover = await launch("again", ["sleep", "1000"]);
  leftover.end();
  await daemon.create("again");
  assert.equal(shimsOf(daemon.workshop.address).filter(({ id }) => id === "again").length, 1);
  await daemon.manager.start(daemon.origin, "again", "");
  assert.equal((await daemon.wait("again")).status, 1);
});

test("recovery of a recovered daemon changes nothing", async () => {
  const facts = async () => Promise.all(["made", "started", "execs", "spared", "frozen"].map((id) => daemon.types(id)));
  const before = await facts();
  await daemon.restart();
  await delay(0);
  assert.deepEqual(await facts(), before);
});
