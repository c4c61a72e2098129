/**
 * The watch of memory.events, cgroup v2's. Where memory is accounted by version 1 no group of version 2 has that file, but each has another of the same
 * make: cgroup.events, which the kernel raises in the same way when a group gets its first process or loses its last. Opened under the name of the one, it
 * is the notification; what is counted is read by the name, and is an ordinary file by then.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { oomKillsOf, watchOom } from "../../../src/shim/cgroup/mod.ts";
import { eventually } from "../../harness/eventually.ts";
import { temporaryDirectory } from "../../harness/temporary.ts";
import { groupName, removeGroup } from "./container.ts";

const tops = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
const top = tops.find((each) => existsSync(join(each, "cgroup.controllers")));
const group = groupName("oom-v2");

after(() => removeGroup(group));

/** A directory that stands for a group of version 2, whose kills are as many as were counted, and told when `notify` is called. */
async function standIn(t: TestContext, name: string) {
  const real = join(top!, group, name);
  mkdirSync(real, { recursive: true });
  const directory = await temporaryDirectory(t);
  const events = join(directory, "memory.events");
  const count = async (kills: number) => {
    writeFileSync(`${events}.new`, `low 0\nhigh 0\nmax ${kills}\noom ${kills}\noom_kill ${kills}\noom_group_kill 0\n`);
    await rename(`${events}.new`, events);
  };
  symlinkSync(join(real, "cgroup.events"), events);
  /** Raises the notification: the group has a process, and has it no longer. */
  const notify = async () => {
    const child = spawn("sh", ["-c", 'echo $$ > "$0/cgroup.procs"', real], { stdio: "ignore" });
    const [code] = await once(child, "exit");
    assert.equal(code, 0);
  };
  return { cgroup: { version: 2, directory } as const, events, count, notify };
}

const options = { skip: top === undefined ? "no hierarchy of cgroup v2 is mounted" : false, timeout: 30_000 };

test("a change of memory.events is looked at when the kernel says so, and kills are told once", options, async (t) => {
  const { cgroup, count, notify } = await standIn(t, "told");
  let told = 0;
  const watch = watchOom(cgroup, () => told++);
  t.after(() => watch.close());
  await count(0);
  assert.equal(watch.oomKills(), 0);
  await count(2);
  await notify();
  await eventually("both kills are told", () => (told === 1 ? true : undefined));
  assert.equal(watch.oomKills(), 2);
  await notify();
  await count(3);
  await notify();
  await eventually("the third is told", () => (told === 2 ? true : undefined));
  assert.equal(oomKillsOf(cgroup), 3);
});

test("a notification of memory.events is over when it was looked at", options, async (t) => {
  const { cgroup, count, notify } = await standIn(t, "quiet");
  let told = 0;
  const watch = watchOom(cgroup, () => told++);
  t.after(() => watch.close());
  await count(1);
  await notify();
  await eventually("it is told", () => (told === 1 ? true : undefined));
  // A descriptor that stayed raised would have the loop turn without end.
  const { user, system } = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, 500));
  const after = process.cpuUsage({ user, system });
  assert.ok(after.user + after.system < 250_000, `${after.user + after.system} µs`);
});

test("kills that were counted stay known when the group is gone", options, async (t) => {
  const { cgroup, count, notify, events } = await standIn(t, "gone");
  let told = 0;
  const watch = watchOom(cgroup, () => told++, { told: 1 });
  t.after(() => watch.close());
  await count(1);
  assert.equal(watch.oomKills(), 1);
  await rm(events);
  await notify();
  assert.equal(watch.oomKills(), 1);
  assert.equal(told, 0);
});
