import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { closeSync, readFileSync } from "node:fs";
import { once } from "node:events";
import { test } from "node:test";
import {
  becomeSubreaper,
  exitStatusByPidfd,
  exitStatusOf,
  pidfdOpen,
  processStartTime,
  reap,
  watchExit,
  zombieChildren,
} from "../../src/platform/mod.ts";
import { eventually, within } from "../harness/eventually.ts";

/** A child of this process that is not libuv's: its own parent has ended, for which the script waits. */
function orphan(script: string): number {
  becomeSubreaper();
  const adopted = `until grep -q "^PPid:.${process.pid}$" /proc/$$/status; do sleep 0.01; done`;
  const command = `sh -c '${adopted}; ${script}' > /dev/null 2>&1 & echo $!`;
  return Number(execFileSync("sh", ["-c", command], { encoding: "utf8" }));
}

const exitOf = (pid: number, startTime?: number) => within(`exit of ${pid}`, 5_000, watchExit(pid, startTime).exit);

test("exitStatusOf gives the code, or 128 and the signal", () => {
  assert.deepEqual([0x0000, 0x0700, 0xff00, 0x0009, 0x008b].map(exitStatusOf), [0, 7, 255, 137, 139]);
});

test("watch tells the exit of a child that ends later, and reaps it", async () => {
  const pid = orphan("sleep 0.2; exit 7");
  assert.deepEqual(await exitOf(pid), { exitStatus: 7, known: true });
  assert.throws(() => reap(pid), { code: "ECHILD" });
});

test("watch tells the exit of a child that has ended before", async () => {
  const pid = orphan("exit 9");
  await eventually("it is a zombie", () => zombieChildren().find((zombie) => zombie.pid === pid));
  assert.deepEqual(await exitOf(pid), { exitStatus: 9, known: true });
});

test("watch sends signals to its process and to no later one", async () => {
  const watch = watchExit(orphan("exec sleep 1000"));
  watch.signal(15);
  assert.deepEqual(await watch.exit, { exitStatus: 143, known: true });
  assert.throws(() => watch.signal(15), { code: "ESRCH" });
});

test("watch does not take a process with another start time for the one that was meant", async () => {
  assert.deepEqual(await exitOf(process.pid, processStartTime(process.pid)! - 1), { exitStatus: 255, known: false });
});

test("watch of a process that is gone tells an exit that is not known", async () => {
  const child = spawn("true", { stdio: "ignore" });
  const { pid } = child;
  await once(child, "exit");
  assert.deepEqual(await exitOf(pid!), { exitStatus: 255, known: false });
});

test("watch learns the exit of another's child, before and after it is reaped", async (t) => {
  becomeSubreaper();
  // The child lives until its parent has become a program that never waits for it.
  const parent = spawn("sh", ["-c", "(sleep 0.2; exit 5) & echo $!; exec sleep 1000"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  t.after(() => parent.kill("SIGKILL"));
  const [line] = await once(parent.stdout!, "data");
  const pid = Number(line);
  const pidfd = pidfdOpen(pid);
  t.after(() => closeSync(pidfd));
  assert.deepEqual(await exitOf(pid, processStartTime(pid)), { exitStatus: 5, known: true });
  assert.equal(exitStatusByPidfd(pidfd), undefined, "it is a zombie still");
  parent.kill("SIGKILL");
  await once(parent, "exit");
  assert.equal(reap(pid), 5, "its parent is gone, so it is this process's child");
  const [major, minor] = readFileSync("/proc/sys/kernel/osrelease", "utf8").split(".").map(Number);
  const tells = major! > 6 || (major === 6 && minor! >= 15);
  assert.equal(exitStatusByPidfd(pidfd), tells ? 5 : undefined);
});

test("a closed watch leaves a child unreaped", async () => {
  const pid = orphan("exit 3");
  watchExit(pid).close();
  await eventually("it is a zombie", () => zombieChildren().find((zombie) => zombie.pid === pid));
  assert.equal(reap(pid), 3);
});
