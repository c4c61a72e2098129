import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { readMountinfo } from "../../../src/platform/mod.ts";
import { StatusCode } from "../../../src/shim/ttrpc/mod.ts";
import { ProcessDetails } from "../../../src/wire/gen/containerd/runc/v1/options.ts";
import { TaskDefinition } from "../../../src/wire/gen/containerd/task/v2/shim.ts";
import { Status } from "../../../src/wire/gen/containerd/types/task/task.ts";
import { unixNanoFromTimestamp } from "../../../src/wire/time.ts";
import { outputOf, Site } from "./shims.ts";

const limit = { timeout: 60_000 };
const shell = (script: string) => ["/bin/sh", "-c", script];

for (const name of ["runc", "crun"] as const) {
  test(`a container lives from create to delete under ${name}, and each step is told`, limit, async (t) => {
    const site = await Site.open(t);
    const shim = await site.ours();
    const bundle = await site.bundle("one", shell("echo hello; exit 7"));
    const runtime = await site.runtime(name);
    const pid = await shim.create(bundle, { runtime, stdout: `file://${site.directory}/out` });
    const created = await shim.state("one");
    assert.deepEqual([created.status, created.pid, created.id, created.bundle], [Status.CREATED, pid, "one", bundle]);
    assert.equal(unixNanoFromTimestamp(created.exitedAt), undefined);
    assert.ok(readMountinfo().some(({ mountpoint }) => mountpoint === join(bundle, "rootfs")));
    const before = shim.call("wait", { id: "one", execId: "" });
    assert.equal(await shim.start("one"), pid);
    const { exitStatus, exitedAt } = await before;
    assert.equal(exitStatus, 7);
    assert.deepEqual(await shim.call("wait", { id: "one", execId: "" }), { exitStatus, exitedAt });
    assert.equal((await shim.state("one")).status, Status.STOPPED);
    assert.deepEqual(await shim.delete("one"), { pid, exitStatus, exitedAt });
    assert.equal(await outputOf(join(site.directory, "out")), "hello\n");
    assert.ok(!readMountinfo().some(({ mountpoint }) => mountpoint === join(bundle, "rootfs")));
    await assert.rejects(shim.state("one"), { code: StatusCode.NotFound, message: "container not created: not found" });
    await site.event("delete");
    assert.deepEqual(
      site.told.map(({ topic }) => topic),
      ["create", "start", "exit", "delete"],
    );
    assert.deepEqual(site.told[2], { topic: "exit", containerId: "one", id: "one", pid, exitStatus, exitedAt });
    assert.deepEqual(site.troubles, []);
  });

  test(`processes are executed in a container under ${name}`, limit, async (t) => {
    const site = await Site.open(t);
    const shim = await site.ours();
    const runtime = await site.runtime(name);
    await shim.run("one", ["/bin/sleep", "1000"], { runtime });
    await shim.addExec("one", "ended", shell("echo executed; exit 3"), { stdout: `file://${site.directory}/out` });
    assert.equal((await shim.state("one", "ended")).status, Status.CREATED);
    const waits = Array.from({ length: 20 }, () => shim.wait("one", "ended"));
    await shim.start("one", "ended");
    assert.deepEqual(await Promise.all(waits), Array(20).fill(3));
    const pid = await shim.exec("one", "sleeper", ["/bin/sleep", "1000"]);
    const { processes } = await shim.call("pids", { id: "one" });
    assert.equal(processes.length, 2);
    const details = processes.find((each) => each.pid === pid)?.info;
    assert.equal(ProcessDetails.decode(details!.value).execId, "sleeper");
    await assert.rejects(shim.delete("one", "sleeper"), { message: "cannot delete a running process" });
    await shim.kill("one", { execId: "sleeper", signal: 15 });
    assert.equal(await shim.wait("one", "sleeper"), 143);
    assert.equal((await shim.delete("one", "sleeper")).exitStatus, 143);
    await assert.rejects(shim.state("one", "sleeper"), {
      code: StatusCode.NotFound,
      message: "process does not exist sleeper: not found",
    });
    assert.equal((await shim.delete("one", "ended")).exitStatus, 3);
    assert.equal(await outputOf(join(site.directory, "out")), "executed\n");
    await shim.kill("one");
    assert.equal(await shim.wait("one"), 137);
    await shim.delete("one");
    await site.event("delete");
    const topics = site.told.map(({ topic }) => topic);
    const exec = ["exec-added", "exec-started", "exit"];
    assert.deepEqual(topics, ["create", "start", ...exec, ...exec, "exit", "delete"]);
    assert.deepEqual(site.troubles, []);
  });
}

test(
  "a container that was created and never started is killed by its deletion, and told to have ended before",
  limit,
  async (t) => {
    const site = await Site.open(t);
    const shim = await site.ours();
    const pid = await shim.create(await site.bundle("one", ["/bin/sleep", "1000"]));
    const waiting = shim.wait("one");
    const deleted = await shim.delete("one");
    assert.deepEqual([deleted.pid, deleted.exitStatus, await waiting], [pid, 137, 137]);
    await site.event("delete");
    assert.deepEqual(
      site.told.map(({ topic }) => topic),
      ["create", "exit", "delete"],
    );
  },
);

test("a container is paused and resumed", limit, async (t) => {
  const site = await Site.open(t);
  const shim = await site.ours();
  await shim.run("one", ["/bin/sleep", "1000"]);
  await shim.exec("one", "e", ["/bin/sleep", "1000"]);
  await shim.call("pause", { id: "one" });
  assert.equal((await shim.state("one")).status, Status.PAUSED);
  assert.equal((await shim.state("one", "e")).status, Status.PAUSED);
  await shim.call("resume", { id: "one" });
  assert.equal((await shim.state("one")).status, Status.RUNNING);
  await shim.call("pause", { id: "one" });
  await shim.kill("one");
  assert.equal(await shim.wait("one"), 137);
  await shim.delete("one");
  await site.event("delete");
  const topics = site.told.map(({ topic }) => topic).filter((topic) => topic === "paused" || topic === "resumed");
  assert.deepEqual(topics, ["paused", "resumed", "paused"]);
  assert.deepEqual(site.troubles, []);
});

test("a failed create leaves no mount, no container and no event", limit, async (t) => {
  const site = await Site.open(t);
  const shim = await site.ours();
  const bundle = await site.bundle("one", ["/bin/not-there"]);
  await assert.rejects(shim.create(bundle), {
    code: StatusCode.Unknown,
    message: /^OCI runtime create failed: .*not-there/,
  });
  assert.ok(!readMountinfo().some(({ mountpoint }) => mountpoint.startsWith(`${bundle}/`)));
  await assert.rejects(access(join(site.runtimeRoot, "shim-service", "one")));
  await assert.rejects(shim.state("one"), { code: StatusCode.NotFound });
  assert.deepEqual(site.told, []);
  // The name and the bundle can be used again.
  await promisify(execFile)("sed", ["-i", "s/not-there/true/", join(bundle, "config.json")]);
  await shim.create(bundle);
  await shim.start("one");
  assert.equal(await shim.wait("one"), 0);
  await shim.delete("one");
});

test(
  "shutdown is passed on with what there is to weigh, connect tells who serves, and version 3 is served too",
  limit,
  async (t) => {
    const site = await Site.open(t);
    const shim = await site.ours();
    const pid = await shim.run("one", ["/bin/sleep", "1000"]);
    const v3 = { ...TaskDefinition, fullName: "containerd.task.v3.Task" };
    assert.deepEqual(await shim.client.call(v3, "connect", { id: "one" }), {
      shimPid: process.pid,
      taskPid: pid,
      version: "",
    });
    assert.equal(shim.service!.hasContainers, true);
    await shim.kill("one");
    await shim.wait("one");
    await shim.delete("one");
    assert.equal(shim.service!.hasContainers, false);
    assert.deepEqual(
      site.told.filter(({ topic }) => topic === "shutDown"),
      [],
    );
    await shim.call("shutdown", { id: "one", now: false });
    assert.deepEqual(
      site.told.filter(({ topic }) => topic === "shutDown"),
      [{ topic: "shutDown" }],
    );
  },
);
