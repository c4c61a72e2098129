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

/** A child of this process that is not libuv's: its own parent has ended. */
function orphan(script: string): number {
  becomeSubreaper();
  const command = `sh -c '${script}' > /dev/null 2>&1 & echo $!`;
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

test("watch learns the exit of a process that another one reaps", async () => {
  // The shell takes the exit of its own child only when it is told to.
  const parent = spawn("sh", ["-c", "(exit 5) & echo $!; read x; wait; echo reaped; read x"], { stdio: ["pipe", "pipe", "ignore"] });
  const [line] = await once(parent.stdout!, "data");
  const pid = Number(line);
  const pidfd = pidfdOpen(pid);
  assert.deepEqual(await exitOf(pid, processStartTime(pid)), { exitStatus: 5, known: true });
  assert.equal(exitStatusByPidfd(pidfd), undefined, "it is a zombie still");
  parent.stdin!.write("\n");
  await once(parent.stdout!, "data");
  const [major, minor] = readFileSync("/proc/sys/kernel/osrelease", "utf8").split(".").map(Number);
  const tells = major! > 6 || (major === 6 && minor! >= 15);
  assert.equal(exitStatusByPidfd(pidfd), tells ? 5 : undefined);
  closeSync(pidfd);
  parent.stdin!.end();
  await once(parent, "exit");
});

test("a closed watch leaves a child unreaped", async () => {
  const pid = orphan("exit 3");
  watchExit(pid).close();
  await eventually("it is a zombie", () => zombieChildren().find((zombie) => zombie.pid === pid));
  assert.equal(reap(pid), 3);
});
