/** The shim's membership, with this process as the shim. The real hierarchies of v1, and the real v2 one that a hybrid machine has beside them. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { readMountinfo } from "../../../src/platform/mod.ts";
import {
  adjustOomScore,
  ContainerMembership,
  cgroupAtPath,
  cgroupOfProcess,
  joinShimCgroup,
} from "../../../src/shim/cgroup/mod.ts";
import { temporaryDirectory } from "../../harness/temporary.ts";
import { groupName, RuncContainer, removeGroup } from "./container.ts";

const group = groupName("membership");
const unified = readMountinfo().find(({ type }) => type === "cgroup2")!.mountpoint;

after(() => removeGroup(group));

const membersOf = (directory: string) => readFileSync(join(directory, "cgroup.procs"), "utf8").split("\n");
const holdsUs = (directory: string) => membersOf(directory).includes(String(process.pid));

function burn(ms: number): void {
  const end = process.cpuUsage().user + ms * 1000;
  while (process.cpuUsage().user < end);
}

test("what the shim costs is charged to the container while it is in its groups, and no longer", async (t) => {
  await RuncContainer.with(await temporaryDirectory(t), group, "pays", ["/bin/sleep", "60"], async (container) => {
    const cgroup = cgroupOfProcess(container.pid);
    assert.ok(cgroup.version === 1);
    const usage = () => Number(readFileSync(join(cgroup.directories.cpuacct!, "cpuacct.usage"), "utf8")) / 1e6;
    const membership = new ContainerMembership(cgroup);
    const before = usage();
    membership.join();
    burn(100);
    membership.leave();
    const during = usage() - before;
    assert.ok(during >= 95, `${during} ms`);
    burn(100);
    const later = usage() - before - during;
    assert.ok(later < 20, `${later} ms`);
  });
});

test("what is done to the container is not done to the shim in its groups, and its groups can go", async (t) => {
  await RuncContainer.with(await temporaryDirectory(t), group, "acts", ["/bin/sleep", "60"], async (container) => {
    const cgroup = cgroupOfProcess(container.pid);
    assert.ok(cgroup.version === 1);
    await container.start();
    const home = readFileSync("/proc/self/cgroup", "utf8");
    const membership = new ContainerMembership(cgroup);
    membership.join();
    assert.deepEqual(
      Object.entries(cgroup.directories)
        .filter(([, directory]) => holdsUs(directory))
        .map(([controller]) => controller)
        .sort(),
      ["blkio", "cpu", "cpuacct"],
    );
    // Were it frozen or killed with the container, it would not come to the next line.
    await container.runc("pause", container.id);
    await container.runc("resume", container.id);
    await container.runc("kill", "--all", container.id, "KILL");
    membership.leave();
    assert.equal(readFileSync("/proc/self/cgroup", "utf8"), home);
    await container.delete();
    for (const directory of Object.values(cgroup.directories)) assert.ok(!existsSync(directory), directory);
    assert.throws(() => membership.join(), { code: "ENOENT" });
    assert.equal(readFileSync("/proc/self/cgroup", "utf8"), home);
  });
});

test("on version 2 the shim is in a group of its own below the container's, and aside while it is paused or killed", async () => {
  const directory = join(unified, group, "v2");
  mkdirSync(directory, { recursive: true });
  const path = /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))![1]!;
  const home = { version: 2, directory: join(unified, path) } as const;
  const child = spawn("sh", ["-c", 'echo $$ >"$0/cgroup.procs"; echo; exec sleep 60', directory]);
  await once(child.stdout, "data");
  const membership = new ContainerMembership({ version: 2, directory }, home, { version: 2, directory: unified });
  membership.join();
  assert.ok(holdsUs(join(directory, "shiplog-shim")));
  assert.ok(!holdsUs(home.directory));
  await membership.aside(async () => {
    assert.ok(!existsSync(join(directory, "shiplog-shim")));
    writeFileSync(join(directory, "cgroup.freeze"), "1");
    writeFileSync(join(directory, "cgroup.freeze"), "0");
  });
  assert.ok(holdsUs(join(directory, "shiplog-shim")));
  await membership.aside(async () => {
    writeFileSync(join(directory, "cgroup.kill"), "1");
    await once(child, "exit");
    assert.equal(child.signalCode, "SIGKILL");
    rmdirSync(directory);
  });
  assert.ok(holdsUs(home.directory));
});

test("a shim whose home is gone goes to the top of the hierarchy", () => {
  const directory = join("/sys/fs/cgroup/blkio", group);
  mkdirSync(join(directory, "container"), { recursive: true });
  const at = (path: string) => ({ version: 1, directories: { blkio: path } }) as const;
  const top = at("/sys/fs/cgroup/blkio");
  const membership = new ContainerMembership(at(join(directory, "container")), at(join(directory, "home")), top);
  membership.join();
  membership.leave();
  assert.ok(holdsUs("/sys/fs/cgroup/blkio"));
});

test("a shim is put into every group that the options name, or is refused with containerd's words", async () => {
  const child = spawn("sleep", ["60"], { stdio: "ignore" });
  const path = `/${group}/options`;
  assert.throws(() => joinShimCgroup(path, child.pid!), {
    message: `failed to load cgroup ${path}: cgroups: cgroup deleted`,
  });
  for (const controller of ["cpuacct", "memory"])
    mkdirSync(join("/sys/fs/cgroup", controller, path), { recursive: true });
  joinShimCgroup(path, child.pid!);
  const text = readFileSync(`/proc/${child.pid}/cgroup`, "utf8");
  assert.match(text, new RegExp(`:cpuacct:${path}$`, "m"));
  assert.match(text, new RegExp(`:memory:${path}$`, "m"));
  assert.match(text, /:cpu:\/$/m);
  // Above the top there is nothing: it is the top that this names.
  assert.deepEqual(cgroupAtPath("../../.."), cgroupAtPath("/"));
  child.kill("SIGKILL");
  await once(child, "exit");
  assert.throws(() => joinShimCgroup(path, child.pid!), {
    message: new RegExp(`^failed to join cgroup ${path}: ESRCH`),
  });
});

test("a shim's score for being killed is one above the daemon's, and no more than the highest", async () => {
  const children = [spawn("sleep", ["60"], { stdio: "ignore" }), spawn("sleep", ["60"], { stdio: "ignore" })];
  const [daemon, shim] = children.map(({ pid }) => pid!) as [number, number];
  for (const [score, expected] of [
    ["100", "101"],
    ["1000", "1000"],
  ] as const) {
    writeFileSync(`/proc/${daemon}/oom_score_adj`, score);
    adjustOomScore(shim, daemon);
    assert.equal(readFileSync(`/proc/${shim}/oom_score_adj`, "utf8").trim(), expected);
  }
  for (const child of children) {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  assert.throws(() => adjustOomScore(shim, daemon), /^Error: get parent OOM score: ENOENT/);
});
