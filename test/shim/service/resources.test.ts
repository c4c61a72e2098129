import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { cgroupOfProcess } from "../../../src/shim/cgroup/mod.ts";
import { readJournal } from "../../../src/shim/journal/mod.ts";
import { UpdateTaskRequest } from "../../../src/wire/gen/containerd/task/v2/shim.ts";
import { Site, type Spec } from "./shims.ts";

const limit = { timeout: 60_000 };
const megabyte = 1024 * 1024;

const limited = (spec: Spec) => {
  spec.linux.resources = { memory: { limit: 20 * megabyte } };
};

test("a kill for want of memory is told before the exit, and the exit says so", limit, async (t) => {
  const site = await Site.open(t);
  const shim = await site.ours();
  const bundle = await site.bundle("one", ["/bin/tail", "/dev/zero"], (spec) => {
    limited(spec);
    spec.mounts.push({ destination: "/dev", type: "bind", source: "/dev", options: ["rbind"] });
  });
  await shim.create(bundle);
  await shim.start("one");
  assert.equal(await shim.wait("one"), 137);
  await site.event("exit");
  const records = readJournal(bundle)!.map(({ record }) => record);
  const exited = records.find(({ type }) => type === "exited");
  assert.equal(exited?.type === "exited" && exited.oomKilled, true);
  await shim.delete("one");
  await site.event("delete");
  const topics = site.told
    .map(({ topic }) => topic)
    .filter((topic, index, all) => topic !== "oom" || all[index - 1] !== "oom");
  assert.deepEqual(topics, ["create", "start", "oom", "exit", "delete"]);
});

test("a container's resources are updated and what it uses is told", limit, async (t) => {
  const site = await Site.open(t);
  const shim = await site.ours();
  const pid = await shim.run("one", ["/bin/sleep", "1000"], { edit: limited });
  const resources = Buffer.from(JSON.stringify({ memory: { limit: 30 * megabyte } }));
  const typeUrl = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";
  await shim.call("update", UpdateTaskRequest.fromPartial({ id: "one", resources: { typeUrl, value: resources } }));
  const cgroup = cgroupOfProcess(pid);
  const file =
    cgroup.version === 1
      ? join(cgroup.directories.memory!, "memory.limit_in_bytes")
      : join(cgroup.directory, "memory.max");
  assert.equal(Number(await readFile(file, "utf8")), 30 * megabyte);
  const { stats } = await shim.call("stats", { id: "one" });
  assert.match(stats!.typeUrl, /^io\.containerd\.cgroups\.v[12]\.Metrics$/);
  assert.ok(stats!.value.length > 100);
  await shim.kill("one");
  await shim.wait("one");
  await assert.rejects(
    shim.call("update", UpdateTaskRequest.fromPartial({ id: "one", resources: { typeUrl, value: resources } })),
    {
      message: "cannot update a stopped container",
    },
  );
  await shim.delete("one");
});

test("the shim is in the container's cgroup while it runs, and out of it while it is paused", limit, async (t) => {
  const site = await Site.open(t);
  const before = await readFile("/proc/self/cgroup", "utf8");
  const shim = await site.ours({ joinsContainerCgroup: true });
  await shim.run("one", ["/bin/sleep", "1000"]);
  const isIn = async () => (await readFile("/proc/self/cgroup", "utf8")).includes(site.cgroup("one"));
  assert.ok(await isIn());
  await shim.call("pause", { id: "one" });
  assert.ok(!(await isIn()));
  await shim.call("resume", { id: "one" });
  assert.ok(await isIn());
  await shim.kill("one", { all: true });
  await shim.wait("one");
  assert.equal(await readFile("/proc/self/cgroup", "utf8"), before);
  await shim.delete("one");
  assert.deepEqual(site.troubles, []);
});
