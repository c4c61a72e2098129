import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { becomeSubreaper, mount, processStartTime, readMountinfo, reap } from "../../../src/platform/mod.ts";
import { Journal, type JournalRecord } from "../../../src/shim/journal/mod.ts";
import { deleteBundle } from "../../../src/shim/program/delete.ts";
import { StatusCode, TtrpcError, type TtrpcHandlers, TtrpcServer } from "../../../src/shim/ttrpc/mod.ts";
import { StateResponse, TaskDefinition } from "../../../src/wire/gen/containerd/task/v2/shim.ts";
import { Status } from "../../../src/wire/gen/containerd/types/task/task.ts";
import { timestampFromUnixNano, unixNanoFromTimestamp } from "../../../src/wire/time.ts";
import { eventually } from "../../harness/eventually.ts";
import { runtimeSpec } from "../../harness/spec.ts";

const run = promisify(execFile);
const namespace = "shim-delete";
const id = "one";

const noWarnings = (text: string) => assert.fail(text);

/** A bundle with a tmpfs as its root file system, which delete has to unmount. */
async function bundleOf(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), "shiplog-test-"));
  const bundle = join(directory, id);
  const rootfs = join(bundle, "rootfs");
  await mkdir(rootfs, { recursive: true });
  mount({ type: "tmpfs", source: "tmpfs", target: "", options: ["mode=755"] }, rootfs);
  t.after(async () => {
    if (isMounted(rootfs)) await run("umount", ["-l", rootfs]);
    await rm(directory, { recursive: true });
  });
  await mkdir(join(rootfs, "bin"));
  await copyFile("/bin/busybox", join(rootfs, "bin", "sleep"));
  await run("chmod", ["755", join(rootfs, "bin", "sleep")]);
  const cgroup = `/${basename(directory)}`;
  await writeFile(join(bundle, "config.json"), runtimeSpec(["/bin/sleep", "1000"], { cgroup }).value);
  return { bundle, rootfs, root: join(directory, "runc") };
}

const isMounted = (path: string) => readMountinfo().some(({ mountpoint }) => mountpoint === path);

const creating = (root: string): JournalRecord => ({
  type: "creating",
  at: "1",
  containerId: id,
  runtime: { binary: "runc", root, systemdCgroup: false },
  io: { stdin: "", stdout: "", stderr: "", terminal: false },
  ioUid: 0,
  ioGid: 0,
  rootfs: [],
  checkpoint: "",
  options: null,
});

async function write(bundle: string, records: readonly JournalRecord[]): Promise<void> {
  const journal = await Journal.open(bundle);
  for (const record of records) await journal.append(record);
  await journal.close();
}

/** Runs a container as a shim would that has died since. What it leaves falls to this process. */
async function container(t: TestContext) {
  becomeSubreaper();
  const made = await bundleOf(t);
  const { bundle, root } = made;
  const pidFile = join(bundle, "init.pid");
  await write(bundle, [creating(root)]);
  const runc = spawn("runc", ["--root", root, "run", "--detach", "--bundle", bundle, "--pid-file", pidFile, id], {
    stdio: "ignore",
  });
  const [code] = await once(runc, "exit");
  assert.equal(code, 0);
  const pid = Number(await readFile(pidFile, "utf8"));
  const startTime = processStartTime(pid)!;
  t.after(() => run("runc", ["--root", root, "delete", "--force", id]).catch(() => {}));
  await write(bundle, [
    { type: "created", at: "2", pid, startTime },
    { type: "started", at: "3" },
  ]);
  return { ...made, pid, startTime };
}

async function end(pid: number): Promise<void> {
  process.kill(pid, "SIGKILL");
  await eventually("init has ended", () => reap(pid));
}

async function isGone(root: string): Promise<boolean> {
  const { stdout } = await run("runc", ["--root", root, "list", "--quiet"]);
  return stdout.trim() === "";
}

/** A shim that lives, as far as delete sees of it. */
async function livingShim(
  t: TestContext,
  bundle: string,
  handlers: TtrpcHandlers<typeof TaskDefinition>,
): Promise<void> {
  const server = new TtrpcServer();
  server.register(TaskDefinition, handlers);
  const path = join(bundle, "..", "shim.sock");
  await server.listen(path);
  t.after(() => server.close());
  await writeFile(join(bundle, "address"), `unix://${path}`);
}

test("delete kills the container of a dead shim, removes and unmounts it", { timeout: 30_000 }, async (t) => {
  const { bundle, rootfs, root, pid, startTime } = await container(t);
  await writeFile(join(bundle, "address"), `unix://${bundle}/none`);
  const deleted = await deleteBundle(namespace, id, bundle, noWarnings);
  assert.deepEqual([deleted.pid, deleted.exitStatus], [pid, 137]);
  assert.notEqual(processStartTime(pid), startTime);
  assert.ok(await isGone(root));
  assert.ok(!isMounted(rootfs));
});

test("delete tells the true exit where the journal has it", { timeout: 30_000 }, async (t) => {
  const { bundle, rootfs, root, pid } = await container(t);
  await end(pid);
  await write(bundle, [
    { type: "exited", execId: "", pid, exitStatus: 42, exitedAt: "1700000000000000005", known: true, oomKilled: false },
  ]);
  const deleted = await deleteBundle(namespace, id, bundle, noWarnings);
  assert.deepEqual([deleted.pid, deleted.exitStatus], [pid, 42]);
  assert.equal(unixNanoFromTimestamp(deleted.exitedAt), 1700000000000000005n);
  assert.ok(await isGone(root));
  assert.ok(!isMounted(rootfs));
});

test("delete says that it does not know how a container ended that nobody saw", { timeout: 30_000 }, async (t) => {
  const { bundle, root, pid } = await container(t);
  await end(pid);
  const deleted = await deleteBundle(namespace, id, bundle, noWarnings);
  assert.deepEqual([deleted.pid, deleted.exitStatus], [pid, 255]);
  assert.ok(await isGone(root));
});

test("delete clears a bundle whose container was never made, or that is gone", async (t) => {
  const { bundle, rootfs } = await bundleOf(t);
  const deleted = await deleteBundle(namespace, id, bundle, noWarnings);
  assert.deepEqual([deleted.pid, deleted.exitStatus], [0, 137]);
  assert.ok(!isMounted(rootfs));
  assert.equal((await deleteBundle(namespace, "gone", join(bundle, "..", "gone"), noWarnings)).exitStatus, 137);
  await assert.rejects(deleteBundle(namespace, "other", bundle, noWarnings), /is not its bundle/);
});

test("delete touches nothing while the container and its shim live", async (t) => {
  const { bundle, rootfs } = await bundleOf(t);
  const state = StateResponse.create({ id, pid: 77, status: Status.RUNNING });
  await livingShim(t, bundle, { state: async () => state, delete: async () => assert.fail("deleted") });
  await assert.rejects(
    deleteBundle(namespace, id, bundle, noWarnings),
    /container one \(process 77\) runs and its shim at .* lives: nothing is deleted/,
  );
  assert.ok(isMounted(rootfs));
});

test("delete touches nothing while a shim lives that does not answer in time", async (t) => {
  const { bundle, rootfs } = await bundleOf(t);
  await livingShim(t, bundle, { state: () => new Promise(() => {}) });
  await assert.rejects(deleteBundle(namespace, id, bundle, noWarnings), { code: StatusCode.DeadlineExceeded });
  assert.ok(isMounted(rootfs));
});

test("delete lets a shim that lives delete what has ended, and shut down", async (t) => {
  const { bundle } = await bundleOf(t);
  const calls: string[] = [];
  await livingShim(t, bundle, {
    state: async () => StateResponse.create({ id, pid: 77, status: Status.STOPPED }),
    delete: async () => {
      calls.push("delete");
      return { pid: 77, exitStatus: 5, exitedAt: timestampFromUnixNano(9n) };
    },
    shutdown: async (request) => {
      calls.push(`shutdown ${request.id}`);
      return {};
    },
  });
  const deleted = await deleteBundle(namespace, id, bundle, noWarnings);
  assert.deepEqual([deleted.pid, deleted.exitStatus], [77, 5]);
  assert.deepEqual(calls, ["delete", "shutdown one"]);
});

test("delete clears the bundle itself when the shim of its group does not know the container", async (t) => {
  const { bundle, rootfs } = await bundleOf(t);
  const none = new TtrpcError(StatusCode.NotFound, "container not created: not found");
  await livingShim(t, bundle, { state: () => Promise.reject(none) });
  assert.equal((await deleteBundle(namespace, id, bundle, noWarnings)).exitStatus, 137);
  assert.ok(!isMounted(rootfs));
});

test("delete leaves the container to whoever writes its journal", { timeout: 30_000 }, async (t) => {
  const { bundle, rootfs } = await bundleOf(t);
  const journal = await Journal.open(bundle);
  try {
    await assert.rejects(deleteBundle(namespace, id, bundle, noWarnings), { name: "JournalHeld" });
    assert.ok(isMounted(rootfs));
  } finally {
    await journal.close();
  }
});
