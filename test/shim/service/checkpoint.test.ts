import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { CheckpointOptions } from "../../../src/wire/gen/containerd/runc/v1/options.ts";
import { CheckpointTaskRequest } from "../../../src/wire/gen/containerd/task/v2/shim.ts";
import { Status } from "../../../src/wire/gen/containerd/types/task/task.ts";
import { type Shim, Site } from "./shims.ts";

const limit = { timeout: 60_000 };

/** A runtime whose checkpoints need no criu. */
const runtime = fileURLToPath(new URL("../../harness/runc-with-checkpoints.sh", import.meta.url));

function checkpoint(shim: Shim, path: string, options: Partial<CheckpointOptions>): Promise<unknown> {
  const value = Buffer.from(CheckpointOptions.encode(CheckpointOptions.fromPartial(options)).finish());
  const any = { typeUrl: "containerd.runc.v1.CheckpointOptions", value };
  return shim.call("checkpoint", CheckpointTaskRequest.fromPartial({ id: "one", path, options: any }));
}

test("a container is checkpointed, ends by it when asked to, and lives on in another", limit, async (t) => {
  const site = await Site.open(t);
  const shim = await site.ours();
  const images = join(site.directory, "images");
  await shim.run("one", ["/bin/sleep", "1000"], { runtime });
  await checkpoint(shim, images, { openTcp: true, emptyNamespaces: ["network"] });
  assert.equal((await shim.state("one")).status, Status.RUNNING);
  await checkpoint(shim, images, { exit: true });
  assert.equal(await shim.wait("one"), 137);
  assert.ok((await readdir(images)).length > 0);
  await shim.delete("one");
  const bundle = await site.bundle("two", ["/bin/sleep", "1000"]);
  assert.equal(await shim.create(bundle, { runtime, checkpoint: images }), 0);
  assert.equal((await shim.state("two")).status, Status.CREATED);
  const pid = await shim.start("two");
  assert.ok(pid > 0);
  assert.deepEqual([(await shim.state("two")).status, (await shim.state("two")).pid], [Status.RUNNING, pid]);
  await shim.kill("two");
  assert.equal(await shim.wait("two"), 137);
  await shim.delete("two");
  const created = await site.event("create", ({ containerId }) => containerId === "two");
  assert.deepEqual([created.pid, created.checkpoint], [0, images]);
  assert.equal((await site.event("start", ({ containerId }) => containerId === "two")).pid, pid);
  await site.event("delete", ({ containerId }) => containerId === "two");
  assert.deepEqual(site.troubles, []);
});

test("a container that waits to be restored is taken over, restored, or deleted as it is", limit, async (t) => {
  const site = await Site.open(t);
  const images = join(site.directory, "images");
  const { shim, kill } = await site.separate();
  await shim.run("one", ["/bin/sleep", "1000"], { runtime });
  await checkpoint(shim, images, { exit: true });
  await shim.wait("one");
  await shim.delete("one");
  const bundles = [
    await site.bundle("two", ["/bin/sleep", "1000"]),
    await site.bundle("three", ["/bin/sleep", "1000"]),
  ] as const;
  for (const bundle of bundles) await shim.create(bundle, { runtime, checkpoint: images });
  await kill();
  const next = await site.ours();
  for (const bundle of bundles) await next.adopt(bundle);
  const pid = await next.start("two");
  assert.equal((await next.state("two")).pid, pid);
  await next.kill("two", { signal: 15 });
  await next.kill("two");
  await next.wait("two");
  await next.delete("two");
  assert.deepEqual([(await next.state("three")).status, (await next.delete("three")).pid], [Status.CREATED, 0]);
  assert.deepEqual(site.troubles, []);
});

test("a runtime that cannot checkpoint is asked, and its reason told with the path of criu's log", limit, async (t) => {
  const site = await Site.open(t);
  const shim = await site.ours();
  await shim.run("one", ["/bin/sleep", "1000"]);
  await assert.rejects(checkpoint(shim, "/dev/null/no-directory", {}), {
    message: /^runc did not terminate successfully: .* path= \/.*\/criu-dump\.log$/,
  });
  assert.equal((await shim.state("one")).status, Status.RUNNING);
  await shim.kill("one");
  await shim.wait("one");
  await shim.delete("one");
});
