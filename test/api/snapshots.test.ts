import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test, type TestContext } from "node:test";
import { leases, snapshots } from "../../src/wire/mod.ts";
import { type ApiServer, startApi } from "../harness/api-server.ts";
import { containerd, type TestDaemon } from "../harness/daemons.ts";
import { codeOf, serviceClient } from "../harness/grpc-client.ts";
import { testOrigin } from "../harness/ledger.ts";
import { noContainerd } from "../harness/reference.ts";
import { temporaryDirectory } from "../harness/temporary.ts";
import { type SnapshotsSubject, snapshotsServiceSuite } from "../suites/snapshots-service.ts";

const snapshotters = ["overlayfs", "native"];

describe("snapshots of containerd", { skip: noContainerd }, () => {
  let daemon: TestDaemon;
  let subject: SnapshotsSubject & { close(): void };
  before(async () => {
    daemon = await containerd();
    await daemon.start();
    const client = serviceClient(snapshots.SnapshotsDefinition, daemon.address);
    const leasesClient = serviceClient(leases.LeasesDefinition, daemon.address);
    subject = {
      client,
      createLease: async (namespace, id) => void (await leasesClient.create({ id }, { namespace })),
      heldBy: async (namespace, id) =>
        (await leasesClient.listResources({ id }, { namespace })).resources
          .map(({ type, id: held }) => `${type} ${held}`)
          .toSorted(),
      close: () => {
        client.close();
        leasesClient.close();
      },
    };
  });
  after(async () => {
    subject.close();
    await daemon.dispose();
  });
  for (const snapshotter of snapshotters) snapshotsServiceSuite("containerd", snapshotter, () => subject);
});

/** As Leases.Create does, for a server without that service. */
const createLease = async ({ ledger }: ApiServer, namespace: string, id: string) =>
  void (await ledger.transact(testOrigin(namespace), () => [
    { kind: "lease", key: id, command: { type: "CreateLease", id, labels: {} } },
  ]));

const held = ({ ledger }: ApiServer, namespace: string, id: string) =>
  ledger.view.leases
    .get(namespace, id)!
    .resources.map((resource) => `${resource.type} ${resource.id}`)
    .toSorted();

describe("snapshots of shiplog", () => {
  let root: string;
  let api: ApiServer;
  let subject: SnapshotsSubject;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), "shiplog-test-"));
    api = await startApi(root);
    subject = {
      client: serviceClient(snapshots.SnapshotsDefinition, api.socket),
      createLease: (namespace, id) => createLease(api, namespace, id),
      heldBy: async (namespace, id) => held(api, namespace, id),
    };
  });
  after(async () => {
    subject.client.close();
    await api.close();
    assert.deepEqual([api.faults, api.leftovers], [[], []]);
    await rm(root, { recursive: true });
  });
  for (const snapshotter of snapshotters) snapshotsServiceSuite("shiplog", snapshotter, () => subject);
});
