import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { addressOfShim, Grouping, groupOf } from "../../../src/shim/program/address.ts";
import { socketPathOfAddress, TtrpcClient } from "../../../src/shim/ttrpc/mod.ts";
import { TaskDefinition } from "../../../src/wire/gen/containerd/task/v2/shim.ts";
import { temporaryDirectory } from "../../harness/temporary.ts";

const run = promisify(execFile);

test("a shim's address is the one that containerd's shim has", { timeout: 20_000 }, async (t) => {
  const directory = await temporaryDirectory(t);
  const bundle = join(directory, "one");
  await mkdir(bundle);
  const annotations = { "io.kubernetes.cri.sandbox-id": "sandbox", "io.containerd.runc.v2.group": "group.1" };
  await writeFile(join(bundle, "config.json"), JSON.stringify({ annotations }));
  await run("mkfifo", [join(bundle, "log")]);
  const args = [
    "-namespace",
    "ns",
    "-address",
    `${directory}//grpc`,
    "-publish-binary",
    "/bin/true",
    "-id",
    "one",
    "start",
  ];
  // The server that is left behind waits for a reader of its log, and is ended by the pid that its socket tells.
  const starting = run("containerd-shim-runc-v2", args, {
    cwd: bundle,
    env: { PATH: process.env.PATH, TTRPC_ADDRESS: `${directory}/t` },
  });
  starting.child.stdin!.end();
  const address = (await starting).stdout.trim();
  try {
    assert.equal(addressOfShim(`${directory}//grpc`, "ns", groupOf(Grouping.Sandbox, "one", annotations)), address);
  } finally {
    const reader = run("cat", [join(bundle, "log")]);
    const client = await TtrpcClient.connect(address);
    await client.call(TaskDefinition, "shutdown", { id: "one", now: true }, { timeoutMs: 5_000 }).catch(() => {});
    await client.closed;
    await reader;
    await rm(socketPathOfAddress(address), { force: true });
  }
});

test("containers are grouped as asked", () => {
  const sandbox = { "io.kubernetes.cri.sandbox-id": "s" };
  assert.equal(groupOf(Grouping.Sandbox, "c", {}), "c");
  assert.equal(groupOf(Grouping.Sandbox, "c", sandbox), "s");
  assert.equal(groupOf(Grouping.Sandbox, "c", { ...sandbox, "io.containerd.runc.v2.group": "g" }), "g");
  assert.equal(groupOf(Grouping.Sandbox, "c", { "io.containerd.runc.v2.group": 7 }), "c");
  assert.equal(groupOf(Grouping.Container, "c", sandbox), "c");
  assert.equal(groupOf(Grouping.Namespace, "c", sandbox), undefined);
});

test("a group's name leads to no other namespace's shim", () => {
  const others = addressOfShim("/run/d", "other", "c");
  for (const group of ["../other/c", "./../other/c", "/../other/c"])
    assert.notEqual(addressOfShim("/run/d", "ns", group), others);
  assert.notEqual(addressOfShim("/run/d", "ns", undefined), addressOfShim("/run/d", "ns", "ns"));
  assert.notEqual(addressOfShim("/run/d", "ns", "."), addressOfShim("/run/d", "ns", undefined));
});
