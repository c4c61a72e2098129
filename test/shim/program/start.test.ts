import assert from "node:assert/strict";
import { chmod, readFile, readlink, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { socketPathOfAddress } from "../../../src/shim/ttrpc/mod.ts";
import { DeleteResponse } from "../../../src/wire/gen/containerd/task/v2/shim.ts";
import { RuntimeInfo } from "../../../src/wire/gen/containerd/types/introspection.ts";
import { Status } from "../../../src/wire/gen/containerd/types/task/task.ts";
import { eventually } from "../../harness/eventually.ts";
import { isRunning, Workshop } from "./workshop.ts";

const options = { timeout: 60_000 };
const group = { "io.containerd.runc.v2.group": "pod" };
const quickly = ["/bin/sh", "-c", "exit 7"];
const forLong = ["/bin/sleep", "1000"];

test("start leaves a shim on its own that listens where only its user can connect", options, async (t) => {
  const workshop = await Workshop.open(t);
  const bundle = await workshop.bundle("one", forLong);
  const address = await workshop.start("one");
  assert.equal((await stat(socketPathOfAddress(address))).mode & 0o777, 0o600);
  assert.equal(await readFile(join(bundle, "address"), "utf8"), address);
  const { shimPid, taskPid } = await workshop.call(address, "connect", { id: "one" });
  assert.equal(taskPid, 0);
  assert.deepEqual(await workshop.shims(), [{ pid: shimPid, namespace: workshop.namespace, id: "one" }]);
  const fields = (await readFile(`/proc/${shimPid}/stat`, "latin1")).split(") ")[1]!.split(" ");
  assert.deepEqual([Number(fields[2]), Number(fields[3])], [shimPid, shimPid], "a group and a session of its own");
  assert.equal(await readFile(`/proc/${shimPid}/comm`, "utf8"), "containerd-shim\n");
  const score = async (pid: number) => Number(await readFile(`/proc/${pid}/oom_score_adj`, "utf8"));
  assert.equal(await score(shimPid), Math.min(1000, (await score(process.pid)) + 1));
  for (const fd of [0, 1, 2]) assert.equal(await readlink(`/proc/${shimPid}/fd/${fd}`), "/dev/null");
  assert.equal(await readlink(`/proc/${shimPid}/cwd`), "/");
});

test("a shim ends when it is told to and has no container, and leaves no socket", options, async (t) => {
  const workshop = await Workshop.open(t);
  await workshop.bundle("one", quickly);
  const address = await workshop.start("one");
  await workshop.runContainer(address, "one");
  const { shimPid } = await workshop.call(address, "connect", { id: "one" });
  assert.equal((await workshop.call(address, "wait", { id: "one", execId: "" })).exitStatus, 7);
  await workshop.call(address, "shutdown", { id: "one", now: false });
  await workshop.call(address, "delete", { id: "one", execId: "" });
  await workshop.call(address, "shutdown", { id: "one", now: false });
  await eventually("the shim is gone", async () => ((await isRunning(shimPid)) ? undefined : true));
  await assert.rejects(stat(socketPathOfAddress(address)), { code: "ENOENT" });
  const topics = workshop.envelopes.map(({ topic }) => topic);
  assert.deepEqual(topics, ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]);
});

test("a start that fails says why on standard error, ends with status 1 and leaves nothing", options, async (t) => {
  const workshop = await Workshop.open(t);
  const bundle = await workshop.bundle("one", forLong);
  const failed = async (given: Parameters<Workshop["run"]>[2], why: RegExp) => {
    const { code, stdout, stderr } = await workshop.run("one", "start", given);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, why);
    assert.deepEqual(await workshop.shims(), []);
  };
  await failed(
    { options: { shimCgroup: "/no/such/group" } },
    /^io\.containerd\.shiplog\.v1: failed to .*cgroup \/no\/such\/group/,
  );
  await failed({ environment: { SHIPLOG_SHIM_GROUPING: "pod" } }, /shim grouping "pod"/);
  await failed({ flags: ["-nonsense"] }, /flag provided but not defined/);
  await rm(join(bundle, "config.json"));
  await failed({}, /open .*config\.json: no such file or directory/);
});

test("starts of one group at once end with one shim, whose address all get", options, async (t) => {
  const workshop = await Workshop.open(t);
  const ids = ["a", "b", "c", "d"];
  for (const id of ids) await workshop.bundle(id, forLong, group);
  await workshop.bundle("other", forLong);
  const addresses = await Promise.all(ids.map((id) => workshop.start(id)));
  assert.equal(new Set(addresses).size, 1);
  assert.equal((await workshop.shims()).length, 1);
  const [address] = addresses as [string];
  for (const id of ids) assert.equal(await readFile(join(workshop.directory, id, "address"), "utf8"), address);
  await workshop.runContainer(address, "a");
  await workshop.runContainer(address, "b");
  assert.notEqual(await workshop.start("other"), address);
});

test("all containers of a namespace have one shim when they are to", options, async (t) => {
  const workshop = await Workshop.open(t);
  await workshop.bundle("a", forLong, group);
  await workshop.bundle("b", forLong);
  const environment = { SHIPLOG_SHIM_GROUPING: "namespace" };
  assert.equal(await workshop.start("a", { environment }), await workshop.start("b", { environment }));
  assert.equal((await workshop.shims()).length, 1);
});

test("a shim stays for a start that was given its address, though it is told to end", options, async (t) => {
  const workshop = await Workshop.open(t);
  await workshop.bundle("a", forLong, group);
  await workshop.bundle("b", forLong, group);
  const address = await workshop.start("a");
  await workshop.start("b");
  const { shimPid } = await workshop.call(address, "connect", { id: "a" });
  await workshop.call(address, "shutdown", { id: "a", now: false });
  await workshop.runContainer(address, "b");
  assert.equal((await workshop.call(address, "connect", { id: "b" })).shimPid, shimPid);
});

test("a container whose shim was killed goes on, and its next shim learns its exit", options, async (t) => {
  const workshop = await Workshop.open(t);
  const bundle = await workshop.bundle("one", ["/bin/sh", "-c", "while [ ! -e /go ]; do sleep 0.05; done; exit 7"]);
  const first = await workshop.start("one");
  const pid = await workshop.runContainer(first, "one");
  await workshop.killShim(first);
  const second = await workshop.start("one");
  assert.equal(second, first);
  const state = await workshop.call(second, "state", { id: "one", execId: "" });
  assert.deepEqual([state.pid, state.status], [pid, Status.RUNNING]);
  await writeFile(join(bundle, "rootfs", "go"), "");
  assert.equal((await workshop.call(second, "wait", { id: "one", execId: "" })).exitStatus, 7);
  await eventually("the exit is told", () => (workshop.exits.length > 0 ? true : undefined));
  assert.deepEqual(workshop.exits, ["one 7"]);
});

test("an exit that the daemon was away for is told by the next shim, once the daemon is back", options, async (t) => {
  const workshop = await Workshop.open(t);
  await workshop.bundle("one", quickly);
  const first = await workshop.start("one");
  await workshop.refuseEvents();
  await workshop.runContainer(first, "one");
  assert.equal((await workshop.call(first, "wait", { id: "one", execId: "" })).exitStatus, 7);
  await workshop.killShim(first);
  const second = await workshop.start("one");
  assert.equal((await workshop.call(second, "wait", { id: "one", execId: "" })).exitStatus, 7);
  await workshop.takeEvents();
  await eventually("the exit is told", () => (workshop.exits.length > 0 ? true : undefined));
  await workshop.killShim(second);
  await workshop.start("one");
  await workshop.call(second, "delete", { id: "one", execId: "" });
  await eventually("the end is told", () =>
    workshop.envelopes.some(({ topic }) => topic === "/tasks/delete") ? true : undefined,
  );
  assert.deepEqual(workshop.exits, ["one 7"]);
});

test("a start finds the shim that has the container, under whatever grouping it was started", options, async (t) => {
  const workshop = await Workshop.open(t);
  await workshop.bundle("one", forLong, group);
  const address = await workshop.start("one");
  const pid = await workshop.runContainer(address, "one");
  assert.equal(await workshop.start("one"), address);
  assert.equal(await workshop.start("one", { environment: { SHIPLOG_SHIM_GROUPING: "container" } }), address);
  assert.equal((await workshop.shims()).length, 1);
  assert.equal((await workshop.call(address, "connect", { id: "one" })).taskPid, pid);
});

test("a shim that ends by a signal gives its container to the next one", options, async (t) => {
  const workshop = await Workshop.open(t);
  await workshop.bundle("one", forLong);
  const address = await workshop.start("one");
  const pid = await workshop.runContainer(address, "one");
  const { shimPid } = await workshop.call(address, "connect", { id: "one" });
  process.kill(shimPid, "SIGTERM");
  const again = await eventually("a start after it", async () => {
    const next = await workshop.start("one");
    return (await workshop.call(next, "connect", { id: "one" }).catch(() => undefined))?.taskPid === pid
      ? next
      : undefined;
  });
  assert.notEqual((await workshop.call(again, "connect", { id: "one" })).shimPid, shimPid);
});

test("what the shim is told for itself is not in its containers' runtime's environment", options, async (t) => {
  const workshop = await Workshop.open(t);
  await workshop.bundle("one", forLong);
  const seen = join(workshop.directory, "environment");
  const runtime = join(workshop.directory, "runtime");
  await writeFile(runtime, `#!/bin/sh\nenv >>${seen}\nexec runc "$@"\n`);
  await chmod(runtime, 0o755);
  const environment = {
    SHIPLOG_SHIM_GROUPING: "container",
    NODE_OPTIONS: "--max-old-space-size=100",
    PASSED_ON: "yes",
  };
  await workshop.runContainer(await workshop.start("one", { environment }), "one", { binaryName: runtime });
  const text = await readFile(seen, "utf8");
  assert.match(text, /^PASSED_ON=yes$/m);
  assert.doesNotMatch(text, /^(NODE_|MALLOC_|SHIPLOG_)/m);
});

test("delete's answer is a DeleteResponse, and it leaves a container alone that its shim has", options, async (t) => {
  const workshop = await Workshop.open(t);
  const bundle = await workshop.bundle("one", forLong);
  const address = await workshop.start("one");
  const pid = await workshop.runContainer(address, "one");
  const refused = await workshop.run("one", "delete", { flags: ["-bundle", bundle] });
  assert.deepEqual([refused.code, refused.stdout], [1, ""]);
  assert.match(refused.stderr, /runs and its shim at .* lives/);
  assert.ok(await isRunning(pid));
  await workshop.killShim(address);
  const deleted = await workshop.run("one", "delete", { flags: ["-bundle", bundle] });
  assert.deepEqual([deleted.code, deleted.stderr], [0, ""]);
  const { pid: told, exitStatus } = DeleteResponse.decode(deleted.output);
  assert.deepEqual([told, exitStatus], [pid, 137]);
  assert.ok(!(await isRunning(pid)));
});

test(
  "delete gives on what a shim that has ended answered, and looks for itself while there is a socket",
  options,
  async (t) => {
    const workshop = await Workshop.open(t);
    const bundle = await workshop.bundle("one", quickly);
    const address = await workshop.start("one");
    const pid = await workshop.runContainer(address, "one");
    const { shimPid } = await workshop.call(address, "connect", { id: "one" });
    await workshop.call(address, "wait", { id: "one", execId: "" });
    const answer = await workshop.call(address, "delete", { id: "one", execId: "" });
    await workshop.call(address, "shutdown", { id: "one", now: false });
    await eventually("the shim is gone", async () => ((await isRunning(shimPid)) ? undefined : true));
    // Whoever looks at more than the answer will find this.
    await writeFile(join(bundle, "shim.journal"), "no journal\n");
    const remove = () => workshop.run("one", "delete", { flags: ["-bundle", bundle] });
    const given = await remove();
    assert.deepEqual([given.code, given.stderr], [0, ""]);
    assert.deepEqual(DeleteResponse.decode(given.output), answer);
    assert.deepEqual([answer.pid, answer.exitStatus], [pid, 7]);
    await writeFile(socketPathOfAddress(address), "");
    const looked = await remove();
    assert.deepEqual([looked.code, looked.stdout], [1, ""]);
    assert.match(looked.stderr, /shim\.journal/);
    // A container that is made anew in the bundle has no answer yet.
    await rm(socketPathOfAddress(address));
    await rm(join(bundle, "shim.journal"));
    const again = await workshop.start("one");
    await workshop.runContainer(again, "one");
    await assert.rejects(stat(join(bundle, "shim.deleted")), { code: "ENOENT" });
  },
);

test("a shim tells its version, and what it and the runtime can do", options, async (t) => {
  const workshop = await Workshop.open(t);
  await workshop.bundle("one", quickly);
  const version = await workshop.run("one", "", { flags: ["-v"] });
  const { version: expected } = JSON.parse(
    await readFile(new URL("../../../package.json", import.meta.url), "utf8"),
  ) as { version: string };
  assert.match(version.stdout, new RegExp(`^.*:\n  Version:  ${expected}\n`));
  const info = RuntimeInfo.decode(
    (await workshop.run("one", "", { flags: ["-info"], options: { binaryName: "runc" } })).output,
  );
  assert.deepEqual([info.name, info.version!.version], ["io.containerd.shiplog.v1", expected]);
  assert.equal(info.options!.typeUrl, "containerd.runc.v1.Options");
  assert.ok(Array.isArray((JSON.parse(info.features!.value.toString()) as { hooks: unknown }).hooks));
});
