/** The death of a shim is not that of its containers: another takes its place, and what it could not tell any more the daemon has seen itself. */
import assert from "node:assert/strict";
import { chmod, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { eventually } from "../harness/eventually.ts";
import { TaskDaemon } from "./task-daemon.ts";
import { hasEnded, noIo, ownShim, processSpecOf, shimsOf } from "./workshop.ts";

let daemon: TaskDaemon;
before(async () => {
  daemon = await TaskDaemon.open({ ownShim: async (base) => breakable(base) });
});
after(() => daemon.remove());

const shims = () => shimsOf(daemon.workshop.address);
const noShims = () => eventually("no shim is left", () => (shims().length === 0 ? true : undefined));
const shimPid = (id: string) => shims().find((shim) => shim.id === id)!.pid;
const since = async (id: string, type: string) => {
  const types = await daemon.types(id);
  return types.slice(types.lastIndexOf(type));
};
const replaced = (id: string, times = 1) =>
  eventually(`the shim of ${id} is replaced`, async () => {
    const types = await daemon.types(id);
    return types.filter((type) => type === "TaskShimReplaced").length === times ? true : undefined;
  });

/** Our shim by another path; it does not start while the file `broken` is there. */
async function breakable(base: string): Promise<string> {
  const path = join(base, "shim");
  await writeFile(
    path,
    `#!/bin/sh\nif [ -e '${base}/broken' ]; then echo broken; exit 1; fi\nexec '${ownShim}' "$@"\n`,
  );
  await chmod(path, 0o755);
  return path;
}
const broken = () => join(daemon.workshop.base, "broken");

test("a container goes on when its shim is killed, with a new shim, and its end is known", async () => {
  const pid = await daemon.run("on", ["sleep", "1000"]);
  const { manager, origin } = daemon;
  await manager.exec(origin, "on", { execId: "too", io: noIo, spec: processSpecOf(["sleep", "1000"]) });
  const { pid: execPid } = await manager.start(origin, "on", "too");
  for (const times of [1, 2]) {
    const dead = shimPid("on");
    process.kill(dead, "SIGKILL");
    await replaced("on", times);
    await eventually("one shim serves it", () => (shims().length === 1 && shimPid("on") !== dead ? true : undefined));
  }
  assert.deepEqual(await since("on", "TaskStarted"), [
    ...["TaskStarted", "ExecAdded", "ExecStarting", "ExecStarted"],
    ...["TaskShimLost", "TaskShimReplaced", "TaskShimLost", "TaskShimReplaced"],
  ]);
  assert.ok(!hasEnded(pid) && !hasEnded(execPid));
  assert.deepEqual(
    (await manager.pids({ namespace: daemon.namespace, id: "on" })).map((process) => process.pid).sort(),
    [pid, execPid].sort(),
  );
  await daemon.kill("on", 15, "too");
  assert.deepEqual(known(await daemon.wait("on", "too")), [143, true]);
  await daemon.kill("on");
  assert.deepEqual(known(await daemon.wait("on")), [137, true]);
  await daemon.only("on", "TaskExited");
  await manager.delete(origin, "on");
  await noShims();
});

const known = ({ status, known }: { readonly status: number; readonly known: boolean }) => [status, known];

test("a process that ends while it has no shim has the code that the daemon saw, its execs before it", async () => {
  try {
    const pid = await daemon.run("seen", ["sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.02; done"]);
    const { manager, origin } = daemon;
    await manager.exec(origin, "seen", { execId: "too", io: noIo, spec: processSpecOf(["sleep", "1000"]) });
    await manager.start(origin, "seen", "too");
    await writeFile(broken(), "");
    process.kill(shimPid("seen"), "SIGKILL");
    await eventually("the loss is recorded", () => (daemon.task("seen")!.shim === null ? true : undefined));
    assert.equal(daemon.task("seen")!.status, "running");
    await assert.rejects(daemon.kill("seen", 15), { class: "Unavailable" });
    process.kill(pid, "SIGTERM");
    assert.deepEqual(known(await daemon.wait("seen")), [7, true]);
    assert.deepEqual(
      (await since("seen", "TaskShimLost")).filter((type) => type.endsWith("Exited")),
      ["ExecExited", "TaskExited"],
    );
    assert.deepEqual(known(await daemon.only("seen", "ExecExited")), [137, true]);
  } finally {
    await rm(broken(), { force: true });
  }
  await daemon.manager.delete(daemon.origin, "seen");
  await daemon.only("seen", "TaskExited");
});

test("a shim that cannot be started is tried again, and meanwhile the container runs on", async () => {
  const pid = await daemon.run("late", ["sleep", "1000"]);
  await writeFile(broken(), "");
  process.kill(shimPid("late"), "SIGKILL");
  await eventually("the loss is recorded", () => (daemon.task("late")!.shim === null ? true : undefined));
  await rm(broken());
  await replaced("late");
  assert.ok(!hasEnded(pid));
  assert.equal(daemon.task("late")!.status, "running");
  await daemon.kill("late");
  assert.deepEqual(known(await daemon.wait("late")), [137, true]);
  await daemon.manager.delete(daemon.origin, "late");
});

test("shims that died while the daemon was down are replaced when it begins; of what ended unseen nobody knows how", async () => {
  const pid = await daemon.run("lives", ["sleep", "1000"]);
  const gone = await daemon.run("gone", ["sleep", "1000"]);
  await daemon.stop();
  for (const id of ["lives", "gone"]) process.kill(shimPid(id), "SIGKILL");
  process.kill(gone, "SIGKILL");
  await eventually("it has ended", () => (hasEnded(gone) ? true : undefined));
  await daemon.begin();
  assert.deepEqual(await since("lives", "TaskShimLost"), ["TaskShimLost", "TaskShimReplaced"]);
  assert.ok(!hasEnded(pid));
  // Whoever inherited it may not have reaped it yet, and then it can still be read.
  assert.ok(["255,false", "137,true"].includes(known(await daemon.wait("gone")).join()));
  await daemon.restart();
  for (const id of ["lives", "gone"]) await daemon.only(id, "TaskShimReplaced");
  await daemon.only("gone", "TaskExited");
  await daemon.kill("lives");
  assert.deepEqual(known(await daemon.wait("lives")), [137, true]);
  for (const id of ["lives", "gone"]) await daemon.manager.delete(daemon.origin, id);
});

test("the shim of a group is replaced by one for all of it", async () => {
  const group = { annotations: { "io.kubernetes.cri.sandbox-id": "a" } };
  const ids = ["a", "b", "c"];
  for (const id of ids) await daemon.run(id, ["sleep", "1000"], group);
  assert.equal(shims().length, 1);
  process.kill(shims()[0]!.pid, "SIGKILL");
  for (const id of ids) await replaced(id);
  assert.equal(shims().length, 1);
  for (const id of ids) {
    await daemon.kill(id);
    assert.deepEqual(known(await daemon.wait(id)), [137, true]);
    await daemon.manager.delete(daemon.origin, id);
  }
  await noShims();
});

test("a group's new shim that has not taken over one of its containers yet is asked to", async () => {
  const group = { annotations: { "io.kubernetes.cri.sandbox-id": "d" } };
  for (const id of ["d", "e"]) await daemon.run(id, ["sleep", "1000"], group);
  const { pid } = daemon.task("e")!;
  await daemon.stop();
  process.kill(shims()[0]!.pid, "SIGKILL");
  const { workshop, namespace } = daemon;
  const key = { namespace, id: "d" };
  await workshop.launcher.start(ownShim, key, workshop.bundles.pathOf(key), null);
  await daemon.begin();
  assert.deepEqual([daemon.task("e")!.status, daemon.task("e")!.pid], ["running", pid]);
  assert.deepEqual(await since("e", "TaskShimLost"), ["TaskShimLost", "TaskShimReplaced"]);
  assert.ok(!(await daemon.types("d")).includes("TaskShimLost"));
  for (const id of ["d", "e"]) {
    await daemon.kill(id);
    assert.deepEqual(known(await daemon.wait(id)), [137, true]);
    await daemon.manager.delete(daemon.origin, id);
  }
  await noShims();
});

test("a container of which the log knows nothing is not ended, and no second one of its name starts", async () => {
  const pid = await daemon.run("unknown", ["sleep", "1000"]);
  await daemon.stop();
  const log = join(daemon.workshop.base, "log");
  await rename(log, `${log}.kept`);
  await daemon.begin();
  assert.ok(!hasEnded(pid));
  await daemon.container("unknown", ["sleep", "1000"]);
  await assert.rejects(daemon.create("unknown"), {
    class: "FailedPrecondition",
    message: /a container of this name runs that the log knows nothing of/,
  });
  assert.ok(!hasEnded(pid));
  const strays = await daemon.manager.strays();
  assert.deepEqual(strays.map(({ kind }) => kind).sort(), ["bundle", "runtime state", "shim"]);
  await daemon.stop();
  await rm(log, { recursive: true });
  await rename(`${log}.kept`, log);
  await daemon.begin();
  assert.equal(daemon.task("unknown")!.status, "running", "with its log back it is the task that it was");
  await daemon.kill("unknown");
  await daemon.wait("unknown");
  await daemon.manager.delete(daemon.origin, "unknown");
});
