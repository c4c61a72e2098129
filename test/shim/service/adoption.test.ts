import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { processStartTime, readMountinfo, reap } from "../../../src/platform/mod.ts";
import { readJournal } from "../../../src/shim/journal/mod.ts";
import { Status } from "../../../src/wire/gen/containerd/types/task/task.ts";
import { eventually } from "../../harness/eventually.ts";
import { namespace, outputOf, Site, type Told } from "./shims.ts";

const limit = { timeout: 60_000 };
const shell = (script: string) => ["/bin/sh", "-c", script];
const untilTold = "while [ ! -e /tmp/end ]; do /bin/sleep 0.02; done";
const tell = (site: Site) => writeFile(join(site.rootfs, "tmp", "end"), "");

const topicsOf = (told: readonly Told[]) => told.map(({ topic }) => topic);
const exitOf = (bundle: string) =>
  readJournal(bundle)!
    .map(({ record }) => record)
    .find(({ type }) => type === "exited");

test(
  "a shim takes over what a killed one left: processes go on, and their exits are told with their codes",
  limit,
  async (t) => {
    const site = await Site.open(t);
    const { shim, kill } = await site.separate();
    const bundle = await site.bundle(
      "one",
      shell("while [ ! -e /tmp/end ]; do echo line; /bin/sleep 0.02; done; exit 7"),
    );
    const pid = await shim.create(bundle, { stdout: `file://${site.directory}/out` });
    await shim.start("one");
    const execPid = await shim.exec("one", "e", ["/bin/sleep", "1000"]);
    await shim.addExec("one", "later", ["/bin/true"]);
    await kill();
    const next = await site.ours();
    await next.adopt(bundle);
    const state = await next.state("one");
    assert.deepEqual([state.status, state.pid, state.stdout], [Status.RUNNING, pid, `file://${site.directory}/out`]);
    assert.deepEqual(
      [(await next.state("one", "e")).pid, (await next.state("one", "later")).status],
      [execPid, Status.CREATED],
    );
    await next.start("one", "later");
    assert.equal(await next.wait("one", "later"), 0);
    await next.kill("one", { execId: "e", signal: 15 });
    assert.equal(await next.wait("one", "e"), 143);
    await tell(site);
    assert.equal(await next.wait("one"), 7);
    const exited = exitOf(bundle);
    assert.equal(exited?.type === "exited" && exited.known, true);
    await next.delete("one");
    assert.match(await outputOf(join(site.directory, "out")), /^(line\n)+$/);
    await site.event("delete");
    assert.deepEqual(
      topicsOf(site.told).filter((topic) => !topic.startsWith("exec")),
      ["create", "start", "exit", "exit", "exit", "delete"],
    );
    assert.deepEqual(site.troubles, []);
  },
);

test("an exit that nobody saw is told as one that is not known, and not invented", limit, async (t) => {
  const site = await Site.open(t);
  const { shim, kill } = await site.separate();
  const bundle = await site.bundle("one", ["/bin/sleep", "1000"]);
  const pid = await shim.create(bundle);
  await shim.start("one");
  await kill();
  process.kill(pid, "SIGKILL");
  await eventually("it is gone", () => {
    if (processStartTime(pid) === undefined) return true;
    // Where this process is the subreaper, nobody else takes the exit.
    try {
      reap(pid);
    } catch {}
    return undefined;
  });
  const next = await site.ours();
  await next.adopt(bundle);
  assert.equal(await next.wait("one"), 255);
  const exited = exitOf(bundle);
  assert.deepEqual(exited?.type === "exited" && [exited.known, exited.exitStatus, exited.pid], [false, 255, pid]);
  await next.delete("one");
  await site.event("delete");
  assert.deepEqual(topicsOf(site.told), ["create", "start", "exit", "delete"]);
});

test("an exit that was written down and not told is told once by the next shim, as it was", limit, async (t) => {
  const site = await Site.open(t);
  const { shim, kill } = await site.separate();
  const bundle = await site.bundle("one", shell(`${untilTold}; exit 7`));
  await shim.create(bundle);
  await shim.start("one");
  await site.event("start");
  await site.daemonLeaves();
  await tell(site);
  const { exitStatus, exitedAt } = await shim.call("wait", { id: "one", execId: "" });
  assert.equal(exitStatus, 7);
  await kill();
  await site.daemonComes();
  const next = await site.ours();
  await next.adopt(bundle);
  const told = await site.event("exit");
  assert.deepEqual([told.exitStatus, told.exitedAt], [exitStatus, exitedAt]);
  const state = await next.state("one");
  assert.deepEqual([state.status, state.exitStatus, state.exitedAt], [Status.STOPPED, exitStatus, exitedAt]);
  await next.delete("one");
  await site.event("delete");
  assert.deepEqual(topicsOf(site.told), ["create", "start", "exit", "delete"]);
});

test("a container that waits to be started, and one that is paused, are taken over as they are", limit, async (t) => {
  const site = await Site.open(t);
  const { shim, kill } = await site.separate();
  const bundles = [
    await site.bundle("created", ["/bin/true"]),
    await site.bundle("paused", ["/bin/sleep", "1000"]),
  ] as const;
  for (const bundle of bundles) await shim.create(bundle);
  await shim.start("paused");
  await shim.call("pause", { id: "paused" });
  await kill();
  const next = await site.ours();
  for (const bundle of bundles) await next.adopt(bundle);
  assert.equal((await next.state("created")).status, Status.CREATED);
  await next.start("created");
  assert.equal(await next.wait("created"), 0);
  assert.equal((await next.state("paused")).status, Status.PAUSED);
  await next.call("resume", { id: "paused" });
  await next.kill("paused");
  assert.equal(await next.wait("paused"), 137);
  for (const id of ["created", "paused"]) await next.delete(id);
  assert.deepEqual(site.troubles, []);
});

test("a start that the dead shim could not tell of is told by the next", limit, async (t) => {
  const site = await Site.open(t);
  const { shim, kill } = await site.separate();
  const bundle = await site.bundle("one", ["/bin/sleep", "1000"]);
  const pid = await shim.create(bundle);
  await kill();
  execFileSync("runc", ["--root", join(site.runtimeRoot, namespace), "start", "one"]);
  const next = await site.ours();
  await next.adopt(bundle);
  assert.equal((await next.state("one")).status, Status.RUNNING);
  assert.equal((await site.event("start")).pid, pid);
  await next.kill("one");
  await next.wait("one");
  await next.delete("one");
});

/** A runtime that does not end once it has done what is asked for by `command`; the file `done` then tells that it has come so far. */
async function hangingAfter(site: Site, command: string): Promise<string> {
  const file = join(site.directory, "hanging");
  const hang = `case "$*" in *" ${command} "*) touch ${site.directory}/done; while :; do sleep 1; done;; esac`;
  await writeFile(file, `#!/bin/sh\nrunc "$@" || exit\n${hang}\n`, { mode: 0o755 });
  return file;
}

const isDone = (site: Site) =>
  eventually("the runtime has done it", async () => (await readdir(site.directory)).includes("done") || undefined);

test("a create in whose middle the shim died is cleared away", limit, async (t) => {
  const site = await Site.open(t);
  const { shim, kill } = await site.separate();
  const bundle = await site.bundle("one", ["/bin/sleep", "1000"]);
  const creating = shim.create(bundle, { runtime: await hangingAfter(site, "create") });
  creating.catch(() => {});
  await isDone(site);
  const pid = Number(await readFile(join(bundle, "init.pid"), "utf8"));
  await kill();
  await assert.rejects(creating);
  const next = await site.ours();
  await next.adopt(bundle);
  assert.equal(next.service!.hasContainers, false);
  await eventually("it is gone", () => processStartTime(pid) === undefined || undefined);
  assert.ok(!readMountinfo().some(({ mountpoint }) => mountpoint.startsWith(`${bundle}/`)));
  assert.deepEqual(site.told, []);
});

test("an exec that the runtime has made and the dead shim not told of is taken over and told", limit, async (t) => {
  const site = await Site.open(t);
  const { shim, kill } = await site.separate();
  const bundle = await site.bundle("one", ["/bin/sleep", "1000"]);
  await shim.create(bundle, { runtime: await hangingAfter(site, "exec") });
  await shim.start("one");
  const starting = shim.exec("one", "e", ["/bin/sleep", "1000"]);
  starting.catch(() => {});
  await isDone(site);
  const pid = Number(await readFile(join(bundle, "e.pid"), "utf8"));
  await kill();
  const next = await site.ours();
  await next.adopt(bundle);
  const state = await next.state("one", "e");
  assert.deepEqual([state.status, state.pid], [Status.RUNNING, pid]);
  assert.equal((await site.event("exec-started")).pid, pid);
  await next.kill("one", { execId: "e" });
  assert.equal(await next.wait("one", "e"), 137);
  await next.kill("one");
  await next.wait("one");
  await next.delete("one");
});
