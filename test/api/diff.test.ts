import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { content, diff, snapshots } from "../../src/wire/mod.ts";
import { type ApiServer, startApi } from "../harness/api-server.ts";
import { containerd, type TestDaemon } from "../harness/daemons.ts";
import { codeOf, serviceClient } from "../harness/grpc-client.ts";
import { temporaryDirectory } from "../harness/temporary.ts";
import { type DiffSubject, diffServiceSuite } from "../suites/diff-service.ts";

const snapshotters = ["overlayfs", "native"];

function clientsOf(socket: string): DiffSubject & { close(): void } {
  const clients = {
    content: serviceClient(content.ContentDefinition, socket),
    snapshots: serviceClient(snapshots.SnapshotsDefinition, socket),
    diff: serviceClient(diff.DiffDefinition, socket),
  };
  const close = () => {
    for (const client of Object.values(clients)) client.close();
  };
  return { ...clients, close };
}

describe("diff of containerd", () => {
  let daemon: TestDaemon;
  let subject: ReturnType<typeof clientsOf>;
  before(async () => {
    daemon = await containerd();
    await daemon.start();
    subject = clientsOf(daemon.address);
  });
  after(async () => {
    subject.close();
    await daemon.dispose();
  });
  for (const snapshotter of snapshotters) diffServiceSuite("containerd", snapshotter, () => subject);
});

describe("diff of shiplog", () => {
  let root: string;
  let api: ApiServer;
  let subject: ReturnType<typeof clientsOf>;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), "shiplog-test-"));
    api = await startApi(root);
    subject = clientsOf(api.socket);
  });
  after(async () => {
    subject.close();
    await api.close();
    assert.deepEqual([api.faults, api.leftovers], [[], []]);
    await rm(root, { recursive: true });
  });
  for (const snapshotter of snapshotters) diffServiceSuite("shiplog", snapshotter, () => subject);
});

test("what is left out is Unimplemented", async (t) => {
  const api = await startApi(await temporaryDirectory(t));
  const clients = clientsOf(api.socket);
  assert.equal(await codeOf(clients.diff.diff({}, { namespace: "ns" })), "UNIMPLEMENTED");
  assert.equal(
    await codeOf(clients.snapshots.cleanup({ snapshotter: "overlayfs" }, { namespace: "ns" })),
    "UNIMPLEMENTED",
  );
  clients.close();
  await api.close();
});
