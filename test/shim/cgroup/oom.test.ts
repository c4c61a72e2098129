/** The kernel's killing, on cgroup v1 as this machine has it; version 2 has the same watch on another file. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { type CgroupV1, cgroupOfProcess, oomKillsOf, watchOom } from "../../../src/shim/cgroup/mod.ts";
import { eventually } from "../../harness/eventually.ts";
import { temporaryDirectory } from "../../harness/temporary.ts";
import { exitOf, groupName, RuncContainer, removeGroup } from "./container.ts";

const group = groupName("oom");
/** Newer versions of runc need more than 8 MiB to make a container. */
const memoryMax = 24 * 1024 * 1024;
const memory = (name: string) => join("/sys/fs/cgroup/memory", group, name);

after(() => removeGroup(group));

/** A memory group of its own with a limit, and no processes yet. */
function bareGroup(name: string): CgroupV1 {
  mkdirSync(memory(name), { recursive: true });
  writeFileSync(join(memory(name), "memory.limit_in_bytes"), String(memoryMax));
  return { version: 1, directories: { memory: memory(name) } };
}

/** A process that runs `command` in the group. */
function spawnIn(name: string, command: string) {
  return spawn("sh", ["-c", `echo $$ >"$0/cgroup.procs"; ${command}`, memory(name)], { stdio: "ignore" });
}

test("an exit knows of the kill that was its cause, each of 100 times", async () => {
  let number = 0;
  const lane = async () => {
    for (let mine = number++; mine < 100; mine = number++) {
      const name = `quick-${mine}`;
      const told: string[] = [];
      const watch = watchOom(bareGroup(name), () => told.push("oom"));
      const child = spawnIn(name, "exec busybox tail /dev/zero");
      const kills = await exitOf(child.pid!, () => {
        const now = watch.oomKills();
        told.push("exit");
        return now;
      });
      assert.equal(kills, 1);
      assert.deepEqual(told, ["oom", "exit"]);
      if (child.signalCode === null) await once(child, "exit");
      assert.equal(child.signalCode, "SIGKILL");
      watch.close();
      rmdirSync(memory(name));
    }
  };
  await Promise.all([lane(), lane(), lane(), lane()]);
});

test("each of 100 containers that die at once of their limit is known to have, before its exit is told", async (t) => {
  const directory = await temporaryDirectory(t);
  const lane = async (name: string) => {
    for (let i = 0; i < 25; i++) {
      const dieOfIt = async (container: RuncContainer) => {
        const told: string[] = [];
        const watch = watchOom(cgroupOfProcess(container.pid), () => told.push("oom"));
        const exited = exitOf(container.pid, () => {
          watch.oomKills();
          told.push("exit");
        });
        await container.start();
        await exited;
        assert.deepEqual(told, ["oom", "exit"]);
        watch.close();
      };
      await RuncContainer.with(directory, group, `${name}${i}`, ["/bin/tail", "/dev/zero"], dieOfIt, memoryMax);
    }
  };
  await Promise.all(["a", "b", "c", "d"].map(lane));
});

test("a kill of a process beside the first one is told while the container runs on", async () => {
  const told = Promise.withResolvers<void>();
  const watch = watchOom(bareGroup("beside"), told.resolve);
  const child = spawnIn("beside", "busybox tail /dev/zero; exec sleep 60");
  await told.promise;
  assert.equal(watch.oomKills(), 1);
  assert.equal(child.exitCode, null);
  child.kill("SIGKILL");
  await once(child, "exit");
  assert.equal(watch.oomKills(), 1);
  watch.close();
});

test("a kill in a group that the container made is the container's", async () => {
  let told = 0;
  const watch = watchOom(bareGroup("nested"), () => told++);
  mkdirSync(memory("nested/inner"));
  const child = spawnIn("nested/inner", "exec busybox tail /dev/zero");
  await exitOf(child.pid!, () => {
    assert.equal(watch.oomKills(), 1);
    assert.equal(told, 1);
  });
  watch.close();
});

test("what was told before is not told again, what was not is told first", async () => {
  const cgroup = bareGroup("adopted");
  const child = spawnIn("adopted", "exec busybox tail /dev/zero");
  await once(child, "exit");
  assert.equal(oomKillsOf(cgroup), 1);
  let told = 0;
  const informed = watchOom(cgroup, () => told++, { told: oomKillsOf(cgroup) });
  const untold = Promise.withResolvers<void>();
  const uninformed = watchOom(cgroup, untold.resolve);
  await untold.promise;
  assert.equal(informed.oomKills(), 1);
  assert.equal(told, 0);
  informed.close();
  uninformed.close();
});

test("a container that may not be killed is told of when it runs out", async () => {
  const cgroup = bareGroup("stuck");
  writeFileSync(join(memory("stuck"), "memory.oom_control"), "1");
  const told = Promise.withResolvers<void>();
  const watch = watchOom(cgroup, told.resolve);
  // It must run out in its own memory, not in a call to the kernel, which would fail.
  const child = spawnIn("stuck", "exec busybox awk 'BEGIN { s = \"x\"; while (1) s = s s }'");
  await told.promise;
  assert.equal(watch.oomKills(), 0);
  child.kill("SIGKILL");
  await once(child, "exit");
  watch.close();
});

test("a watch tells nothing when its group is removed, and ends by itself", async () => {
  const cgroup = bareGroup("removed");
  let told = 0;
  const watch = watchOom(cgroup, () => told++);
  rmdirSync(memory("removed"));
  const polls = () => process.getActiveResourcesInfo().length;
  const before = polls();
  await eventually("the watch is closed", () => (polls() <= before ? true : undefined));
  assert.equal(watch.oomKills(), 0);
  assert.equal(told, 0);
  watch.close();
  assert.throws(() => watchOom(cgroup, () => {}), { code: "ENOENT" });
});

test("a group whose memory is not accounted cannot be watched", () => {
  assert.throws(() => watchOom({ version: 1, directories: {} }, () => {}), /not accounted/);
  assert.equal(oomKillsOf({ version: 1, directories: {} }), 0);
});
