/** Leases, and the collection that a delete may wait for. Sources: services/leases/service.go, metadata/leases.go, metadata/gc.go. */
import fc from "fast-check";
import { leases } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { leaseLabels } from "../labels.ts";
import { digest, id, key, sync } from "../names.ts";
import { answers, collects, moves, refuses } from "../prediction.ts";
import type { World } from "../world.ts";

const definition = leases.LeasesDefinition;

/** A type and an id of it, which need not exist. */
const resource = fc.oneof(
  digest.map((name) => `content ${name}`),
  id.map((ref) => `ingests ${ref}`),
  key.map((name) => `snapshots/native ${name}`),
  id.map((name) => `images ${name}`),
);
const resourceOf = (resource: string) => {
  const [type, id] = resource.split(" ") as [string, string];
  return { type, id };
};

function change(world: World, type: "AddLeaseResource" | "RemoveLeaseResource", id: string, resource: string) {
  if (world.row("lease", id) === undefined) return refuses(world, "NotFound");
  if (resource.startsWith("images") && !world.dialect.leasesHoldImages) return refuses(world, "Unimplemented");
  return moves(world, [{ kind: "lease", key: id, command: { type, id, resource: resourceOf(resource) } }]);
}

export const leaseCommands = [
  command("leases create --id ID [LABELS]", {
    weight: 3,
    changes: ["leases", "namespace"],
    with: { id, labels: leaseLabels },
    predict: (world, { id, labels }) =>
      moves(world, [{ kind: "lease", key: id, command: { type: "CreateLease", id, labels } }], {
        id,
        labels: { ...labels },
      }),
    async call(caller, { id, labels }) {
      const { lease } = await caller.ask(definition, "create", { id, labels: { ...labels } });
      return { id: lease!.id, labels: lease!.labels };
    },
  }),

  command("leases delete [--sync] ID", {
    weight: 2,
    atomic: false,
    changes: ["images", "leases", "blobs", "ingests", "snapshots"],
    with: { sync, id },
    predict(world, { sync, id }) {
      const deleted = moves(world, [{ kind: "lease", key: id, command: { type: "DeleteLease", id } }]);
      return sync ? collects(deleted) : deleted;
    },
    call: async (caller, { sync, id }) => void (await caller.ask(definition, "delete", { id, sync })),
  }),

  command("leases add ID RESOURCE", {
    changes: ["leases"],
    with: { id, resource },
    predict: (world, { id, resource }) => change(world, "AddLeaseResource", id, resource),
    call: async (caller, { id, resource }) =>
      void (await caller.ask(definition, "addResource", { id, resource: resourceOf(resource) })),
  }),

  command("leases drop ID RESOURCE", {
    changes: ["leases"],
    with: { id, resource },
    predict: (world, { id, resource }) => change(world, "RemoveLeaseResource", id, resource),
    call: async (caller, { id, resource }) =>
      void (await caller.ask(definition, "deleteResource", { id, resource: resourceOf(resource) })),
  }),

  command("leases resources ID", {
    with: { id },
    predict(world, { id }) {
      const row = world.row("lease", id);
      if (row === undefined) return refuses(world, "NotFound");
      return answers(world, row.resources.map(({ type, id }) => `${type} ${id}`).sort());
    },
    async call(caller, { id }) {
      const { resources } = await caller.ask(definition, "listResources", { id });
      return resources.map(({ type, id }) => `${type} ${id}`).sort();
    },
  }),
];
