/** Checkpoints and restores, by a runtime that takes them wherever the tests run. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { runc } from "../../src/wire/mod.ts";
import { TaskDaemon } from "./task-daemon.ts";
import { noIo, shimsOf } from "./workshop.ts";
import { eventually } from "../harness/eventually.ts";

const binaryName = fileURLToPath(new URL("../harness/runc-with-checkpoints.sh", import.meta.url));
const value = Buffer.from(runc.Options.encode(runc.Options.fromPartial({ binaryName })).finish());
const options = { typeUrl: "containerd.runc.v1.Options", value };
const toContent = { options: null, path: "", exit: false };
const blob = { mediaType: "m", digest: "sha256:x", size: 1, annotations: {} };

let daemon: TaskDaemon;
before(async () => {
  daemon = await TaskDaemon.open();
});
after(() => daemon.remove());

async function create(id: string, checkpoint: Parameters<typeof daemon.manager.create>[2]["checkpoint"] = "") {
  if (daemon.ledger.view.containers.get(daemon.namespace, id) === undefined)
    await daemon.container(id, ["sleep", "1000"]);
  const { rootfs } = daemon.workshop;
  return daemon.manager.create(daemon.origin, id, { rootfs, io: noIo, options, runtimePath: "", checkpoint });
}

async function run(id: string) {
  await create(id);
  return daemon.manager.start(daemon.origin, id, "");
}

const images = (id: string, purpose: "checkpoint" | "restore" = "checkpoint") =>
  daemon.workshop.bundles.imagesPathOf({ namespace: daemon.namespace, id }, purpose);

test("a checkpoint's images are there to be stored, go then, and the task runs on", async () => {
  await run("stored");
  let stored = "";
  const { content } = await daemon.manager.checkpoint(daemon.origin, "stored", {
    ...toContent,
    async store(directory) {
      stored = await readFile(join(directory, "pages-1.img"), "utf8");
      return [blob];
    },
  });
  assert.deepEqual([content, stored], [[blob], "memory of container stored\n"]);
  assert.ok(!existsSync(images("stored")));
  assert.equal(daemon.task("stored")!.status, "running");
  const facts = await daemon.facts("stored");
  const [asked, taken] = facts.slice(-2);
  assert.deepEqual([asked!.type, asked!.data], ["TaskCheckpointing", { path: "", exit: false }]);
  assert.deepEqual(
    [taken!.type, taken!.data, taken!.cause],
    ["TaskCheckpointed", { content: [blob] }, asked!.position],
  );
});

test("a checkpoint that cannot be stored is recorded as failed, and no images are left", async () => {
  await run("unstored");
  const store = () => Promise.reject(new Error("no space"));
  await assert.rejects(daemon.manager.checkpoint(daemon.origin, "unstored", { ...toContent, store }), {
    class: "Unknown",
    message: "no space",
  });
  assert.equal((await daemon.only("unstored", "TaskCheckpointFailed")).message, "no space");
  assert.ok(!existsSync(images("unstored")));
});

test("a checkpoint that the daemon's end cut short is closed as failed, and its images go", async () => {
  await run("cut");
  await daemon.record("cut", { type: "CheckpointTask", id: "cut", path: "", exit: false });
  await mkdir(images("cut"));
  await writeFile(join(images("cut"), "pages-1.img"), "half");
  await daemon.restart();
  const { message } = await daemon.only("cut", "TaskCheckpointFailed");
  assert.equal(message, "the daemon ended before the shim replied");
  assert.ok(!existsSync(images("cut")));
  assert.deepEqual([daemon.task("cut")!.status, daemon.task("cut")!.checkpointing], ["running", false]);
});

test("a checkpoint under way ends with its shim", async () => {
  await run("lost");
  await daemon.record("lost", { type: "CheckpointTask", id: "lost", path: "", exit: false });
  const { pid } = shimsOf(daemon.workshop.address).find(({ id }) => id === "lost")!;
  process.kill(pid, "SIGKILL");
  await eventually("the checkpoint has failed", () => (daemon.task("lost")!.checkpointing ? undefined : true));
  assert.deepEqual((await daemon.types("lost")).slice(-3), [
    "TaskShimLost",
    "TaskShimReplaced",
    "TaskCheckpointFailed",
  ]);
});

test("a task is restored from what is unpacked for it, which goes with its bundle", async () => {
  await run("moved");
  const kept = join(daemon.workshop.base, "kept.img");
  const store = async (directory: string) => {
    await copyFile(join(directory, "pages-1.img"), kept);
    return [];
  };
  await daemon.manager.checkpoint(daemon.origin, "moved", { ...toContent, store });
  await create("restored", (directory) => copyFile(kept, join(directory, "pages-1.img")));
  const { checkpoint, pid } = daemon.task("restored")!;
  assert.deepEqual([checkpoint, pid], [images("restored", "restore"), 0]);
  const started = await daemon.manager.start(daemon.origin, "restored", "");
  assert.match(await readFile(`/proc/${started.pid}/cmdline`, "utf8"), /^sleep/);
  await daemon.kill("restored");
  await daemon.wait("restored");
  await daemon.manager.delete(daemon.origin, "restored");
  assert.ok(!existsSync(images("restored", "restore")));
});

test("nothing is left of a create whose checkpoint cannot be unpacked", async () => {
  await assert.rejects(
    create("torn", () => Promise.reject(new Error("torn archive"))),
    { message: "torn archive" },
  );
  assert.equal((await daemon.only("torn", "TaskCreateFailed")).message, "torn archive");
  assert.deepEqual(
    shimsOf(daemon.workshop.address).filter(({ id }) => id === "torn"),
    [],
  );
  assert.ok(!existsSync(images("torn", "restore")));
  assert.ok(!(await readdir(join(images("torn"), "..", ".."))).includes("torn"));
});
