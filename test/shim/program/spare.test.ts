import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { TtrpcClient } from "../../../src/shim/ttrpc/mod.ts";
import { type AdoptRequest, ShimDefinition } from "../../../src/wire/gen/shiplog/shim/v1/shim.ts";
import { Status } from "../../../src/wire/gen/containerd/types/task/task.ts";
import { within } from "../../harness/eventually.ts";
import { isRunning, Workshop } from "./workshop.ts";

const options = { timeout: 60_000 };
const forLong = ["/bin/sleep", "1000"];

function spareOf(workshop: Workshop) {
  const { child, client } = workshop.spare();
  const adopt = (id: string, more: Partial<AdoptRequest> = {}) => {
    const { namespace, address: daemonAddress, ttrpcAddress, directory } = workshop;
    const bundle = join(directory, id);
    const request = {
      namespace,
      id,
      bundle,
      daemonAddress,
      ttrpcAddress,
      options: undefined,
      grouping: "",
      cgroup: "",
      debug: false,
      ...more,
    };
    return client.call(ShimDefinition, "adopt", request, { timeoutMs: 10_000 });
  };
  return { child, client, adopt };
}

test("a spare becomes the shim of the bundle that it adopts", options, async (t) => {
  const workshop = await Workshop.open(t);
  const bundle = await workshop.bundle("one", forLong);
  const { child, client, adopt } = spareOf(workshop);
  const { address, version, serves } = await adopt("one");
  assert.deepEqual([version, serves], [2, true]);
  assert.equal(await readFile(join(bundle, "address"), "utf8"), address);
  client.close();
  const pid = await workshop.runContainer(address, "one");
  const { shimPid, taskPid } = await workshop.call(address, "connect", { id: "one" });
  assert.deepEqual([shimPid, taskPid], [child.pid, pid]);
  assert.deepEqual(await workshop.shims(), [{ pid: child.pid!, namespace: workshop.namespace, id: "one" }]);
  assert.equal(await workshop.start("one"), address, "a start finds it");
});

test("a spare takes over what a dead shim has left", options, async (t) => {
  const workshop = await Workshop.open(t);
  await workshop.bundle("one", forLong);
  const first = await workshop.start("one");
  const pid = await workshop.runContainer(first, "one");
  await workshop.killShim(first);
  const { address } = await spareOf(workshop).adopt("one");
  assert.equal(address, first);
  const state = await workshop.call(address, "state", { id: "one", execId: "" });
  assert.deepEqual([state.pid, state.status], [pid, Status.RUNNING]);
});

test("a spare stays one when the group has its shim", options, async (t) => {
  const workshop = await Workshop.open(t);
  const group = { "io.kubernetes.cri.sandbox-id": "pod" };
  for (const id of ["a", "b"]) await workshop.bundle(id, forLong, group);
  await workshop.bundle("c", forLong);
  const started = await workshop.start("a");
  const { child, adopt } = spareOf(workshop);
  assert.deepEqual(await adopt("b"), { address: started, version: 2, serves: false });
  await assert.rejects(adopt("c", { grouping: "pod" }), /shim grouping/);
  const { address, serves } = await adopt("c");
  assert.equal(serves, true);
  assert.equal((await workshop.call(address, "connect", { id: "c" })).shimPid, child.pid);
});

test("a spare ends with the connection of its caller", options, async (t) => {
  const workshop = await Workshop.open(t);
  const { child, client, adopt } = spareOf(workshop);
  await assert.rejects(adopt("nothing"), /open .*config.json/);
  const ended = once(child, "exit");
  client.close();
  assert.deepEqual(await within("the spare ends", 10_000, ended), [0, null]);
});

test("a running shim adopts more bundles of its own daemon and namespace, and no others", options, async (t) => {
  const workshop = await Workshop.open(t);
  await workshop.bundle("one", forLong);
  const bundle = await workshop.bundle("two", forLong);
  const address = await workshop.start("one");
  const client = await TtrpcClient.connect(address);
  try {
    const { namespace, address: daemonAddress, ttrpcAddress } = workshop;
    const request = {
      namespace,
      id: "two",
      bundle,
      daemonAddress,
      ttrpcAddress,
      options: undefined,
      grouping: "",
      cgroup: "",
      debug: false,
    };
    await client.call(ShimDefinition, "adopt", request);
    assert.equal(await readFile(join(bundle, "address"), "utf8"), address);
    await assert.rejects(
      client.call(ShimDefinition, "adopt", { ...request, namespace: "other" }),
      /this shim is for namespace/,
    );
    await writeFile(join(bundle, "shim.journal"), "damaged\n");
    await assert.rejects(client.call(ShimDefinition, "adopt", request), /line 1 is no record/);
    const { shimPid } = await workshop.call(address, "connect", { id: "one" });
    assert.ok(await isRunning(shimPid));
  } finally {
    client.close();
  }
});
