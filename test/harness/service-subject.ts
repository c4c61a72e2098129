/** One service of each daemon under one suite, with what the suites want to know of leases. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe } from "node:test";
import type { Definition } from "../../src/cli/client.ts";
import { leases } from "../../src/wire/mod.ts";
import { type ApiServer, startApi } from "./api-server.ts";
import { containerd } from "./daemons.ts";
import { type ServiceClient, serviceClient } from "./grpc-client.ts";
import { testOrigin } from "./ledger.ts";

export interface ServiceSubject<D extends Definition> {
  readonly client: ServiceClient<D>;
  createLease(namespace: string, id: string): Promise<void>;
  /** What a lease holds, as `<type> <id>`, in order. */
  heldBy(namespace: string, id: string): Promise<readonly string[]>;
}

/** Runs the suite against containerd, and against the service of shiplog on a root of its own, which has to end without a fault. */
export function onBothDaemons<D extends Definition>(
  what: string,
  definition: D,
  suite: (name: string, subject: () => ServiceSubject<D>) => void,
): void {
  const sides = { containerd: openContainerd<D>, shiplog: openShiplog<D> };
  for (const [name, open] of Object.entries(sides)) {
    describe(`${what} of ${name}`, () => {
      let opened: Opened<D>;
      before(async () => {
        opened = await open(definition);
      });
      after(() => opened.close());
      suite(name, () => opened);
    });
  }
}

interface Opened<D extends Definition> extends ServiceSubject<D> {
  close(): Promise<void>;
}

async function openContainerd<D extends Definition>(definition: D): Promise<Opened<D>> {
  const daemon = await containerd();
  await daemon.start();
  const client = serviceClient(definition, daemon.address);
  const leasing = serviceClient(leases.LeasesDefinition, daemon.address);
  return {
    client,
    createLease: async (namespace, id) => void (await leasing.create({ id }, { namespace })),
    heldBy: async (namespace, id) => named((await leasing.listResources({ id }, { namespace })).resources),
    async close() {
      client.close();
      leasing.close();
      await daemon.dispose();
    },
  };
}

async function openShiplog<D extends Definition>(definition: D): Promise<Opened<D>> {
  const root = await mkdtemp(join(tmpdir(), "shiplog-test-"));
  const api = await startApi(root);
  const client = serviceClient(definition, api.socket);
  return {
    client,
    createLease: (namespace, id) => createLease(api, namespace, id),
    heldBy: async (namespace, id) => held(api, namespace, id),
    async close() {
      client.close();
      await api.close();
      assert.deepEqual([api.faults, api.leftovers], [[], []]);
      await rm(root, { recursive: true });
    },
  };
}

/** As Leases.Create does, for a server without that service. */
export async function createLease({ ledger }: ApiServer, namespace: string, id: string): Promise<void> {
  const command = { type: "CreateLease", id, labels: {} } as const;
  await ledger.transact(testOrigin(namespace), () => [{ kind: "lease", key: id, command }]);
}

export const held = ({ ledger }: ApiServer, namespace: string, id: string): readonly string[] =>
  named(ledger.view.leases.get(namespace, id)!.resources);

const named = (resources: readonly { readonly type: string; readonly id: string }[]) =>
  resources.map(({ type, id }) => `${type} ${id}`).toSorted();
