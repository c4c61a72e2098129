import assert from "node:assert/strict";
import { test } from "node:test";
import { Status } from "../../../src/wire/gen/containerd/types/task/task.ts";
import { Site } from "./shims.ts";

test("who asks for a container to be taken over while that is under way waits for it", {
  timeout: 60_000,
}, async (t) => {
  const site = await Site.open(t);
  const { shim, kill } = await site.separate();
  const bundle = await site.bundle("one", ["/bin/sleep", "1000"]);
  const pid = await shim.create(bundle);
  await shim.start("one");
  await kill();
  const next = await site.ours();
  const first = next.adopt(bundle);
  await next.adopt(bundle);
  const state = await next.state("one");
  assert.deepEqual([state.status, state.pid], [Status.RUNNING, pid]);
  await first;
  await next.kill("one");
  assert.equal(await next.wait("one"), 137);
  await next.delete("one");
});
