/** Snapshots. Source: metadata/snapshot.go. */
import { snapshots } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { holds, lacksLease, lets, snapshotResource } from "../holding.ts";
import { labels, maskOf, only, updated } from "../labels.ts";
import { key, lease, parent, snapshotter } from "../names.ts";
import { snapshotSeen } from "../picture.ts";
import { answers, moves, type Prediction, refuses } from "../prediction.ts";
import type { Caller } from "../remote/caller.ts";
import type { World } from "../world.ts";

const definition = snapshots.SnapshotsDefinition;
type Labels = Readonly<Record<string, string>>;

interface Creation {
  readonly snapshotter: string;
  readonly key: string;
  readonly parent: string;
  readonly lease: string;
  readonly labels: Labels;
}

/** A snapshot of that name is there, and a lease may take it in. */
function exists(world: World, snapshotter: string, key: string, lease: string): Prediction {
  const refused = refuses(world, "AlreadyExists");
  if (!world.dialect.leaseTakesWhatExists) return refused;
  if (lacksLease(world, lease)) return refuses(world, "NotFound");
  return { ...moves(world, holds(lease, snapshotResource(snapshotter, key))), answer: refused.answer };
}

function predictCreation(type: "PrepareSnapshot" | "ViewSnapshot", world: World, given: Creation): Prediction {
  const { snapshotter, key, parent, lease, labels } = given;
  const name = `${snapshotter}/${key}`;
  if (world.row("snapshot", name) !== undefined) return exists(world, snapshotter, key, lease);
  const observedParent =
    parent === "" ? "none" : (world.row("snapshot", `${snapshotter}/${parent}`)?.status ?? "absent");
  const { leaseComesFirst, refusalMakesNamespace } = world.dialect;
  const isWrong = observedParent === "active" || observedParent === "view";
  if (lacksLease(world, lease) && observedParent !== "absent" && (leaseComesFirst || !isWrong)) {
    const made = refusalMakesNamespace
      ? moves(world, [{ kind: "namespace", key: "here", command: { type: "EnsureNamespace" } }])
      : undefined;
    return { ...(made ?? refuses(world, "NotFound")), facts: [], answer: { code: "NotFound" } };
  }
  return moves(world, [
    { kind: "snapshot", key: name, command: { type, key, id: "", parent, observedParent, labels } },
    ...(lacksLease(world, lease) ? [] : holds(lease, snapshotResource(snapshotter, key))),
  ]);
}

async function callCreation(method: "prepare" | "view", caller: Caller, given: Creation): Promise<void> {
  const { lease, labels, ...request } = given;
  await caller.ask(definition, method, { ...request, labels: { ...labels } }, lease);
}

const kinds = {
  [snapshots.Kind.ACTIVE]: "active",
  [snapshots.Kind.VIEW]: "view",
  [snapshots.Kind.COMMITTED]: "committed",
} as Readonly<Record<number, string>>;

export const infoSeen = (snapshotter: string, { name, kind, parent, labels }: snapshots.Info) =>
  snapshotSeen(`${snapshotter}/${name}`, { status: kinds[kind] ?? "unknown", parent, labels });

const creation = { snapshotter, key, parent, lease, labels };

export const snapshotCommands = [
  command("snapshots --snapshotter SNAPSHOTTER prepare [--lease LEASE] KEY [PARENT] [LABELS]", {
    weight: 4,
    changes: ["snapshots", "leases", "namespace"],
    with: creation,
    predict: (world, given) => predictCreation("PrepareSnapshot", world, given),
    call: (caller, given) => callCreation("prepare", caller, given),
  }),

  command("snapshots --snapshotter SNAPSHOTTER view [--lease LEASE] KEY [PARENT] [LABELS]", {
    changes: ["snapshots", "leases", "namespace"],
    with: creation,
    predict: (world, given) => predictCreation("ViewSnapshot", world, given),
    call: (caller, given) => callCreation("view", caller, given),
  }),

  command("snapshots --snapshotter SNAPSHOTTER commit [--lease LEASE] NAME KEY [LABELS]", {
    weight: 3,
    changes: ["snapshots", "leases"],
    with: { snapshotter, lease, name: key, key, labels },
    predict(world, { snapshotter, lease, name, key, labels }) {
      if (world.row("snapshot", `${snapshotter}/${name}`) !== undefined) return exists(world, snapshotter, name, lease);
      const row = world.row("snapshot", `${snapshotter}/${key}`);
      const isOther = row !== undefined && row.status !== "active";
      if (lacksLease(world, lease) && !(isOther && world.dialect.activityComesFirst)) return refuses(world, "NotFound");
      const commit = {
        kind: "snapshot",
        key: `${snapshotter}/${key}`,
        command: { type: "CommitSnapshot", key, name, nameTaken: false },
      } as const;
      if (row?.status !== "active") return moves(world, [commit]);
      const { id, parent } = row;
      const sealed = { type: "SealSnapshot", name, key, id, parent, labels, size: 0, inodes: 0 } as const;
      return moves(world, [
        commit,
        { kind: "snapshot", key: `${snapshotter}/${name}`, command: sealed },
        ...holds(lease, snapshotResource(snapshotter, name)),
        ...lets(world, lease, snapshotResource(snapshotter, key)),
      ]);
    },
    async call(caller, { snapshotter, lease, name, key, labels }) {
      await caller.ask(definition, "commit", { snapshotter, name, key, labels: { ...labels } }, lease);
    },
  }),

  command("snapshots --snapshotter SNAPSHOTTER remove [--lease LEASE] KEY", {
    weight: 2,
    changes: ["snapshots", "leases"],
    with: { snapshotter, lease, key },
    predict(world, { snapshotter, lease, key }) {
      const name = `${snapshotter}/${key}`;
      return moves(world, [
        { kind: "snapshot", key: name, command: { type: "RemoveSnapshot", key, children: world.children(name) } },
        ...lets(world, lease, snapshotResource(snapshotter, key)),
      ]);
    },
    call: async (caller, { snapshotter, lease, key }) =>
      void (await caller.ask(definition, "remove", { snapshotter, key }, lease)),
  }),

  command("snapshots --snapshotter SNAPSHOTTER label [--only ONLY] KEY [LABELS]", {
    changes: ["snapshots"],
    with: { snapshotter, only, key, labels },
    predict(world, { snapshotter, only, key, labels: requested }) {
      const name = `${snapshotter}/${key}`;
      const row = world.row("snapshot", name);
      if (row === undefined) return refuses(world, "NotFound");
      const labels = updated(row.labels, requested, only);
      const command = { type: "UpdateSnapshot", key, labels } as const;
      return moves(world, [{ kind: "snapshot", key: name, command }], snapshotSeen(name, { ...row, labels }));
    },
    async call(caller, { snapshotter, only, key: name, labels }) {
      const updateMask = maskOf(only);
      const asked = { snapshotter, info: { name, labels: { ...labels } }, updateMask };
      const { info } = await caller.ask(definition, "update", asked);
      return infoSeen(snapshotter, info!);
    },
  }),

  command("snapshots --snapshotter SNAPSHOTTER info KEY", {
    with: { snapshotter, key },
    predict(world, { snapshotter, key }) {
      const name = `${snapshotter}/${key}`;
      const row = world.row("snapshot", name);
      return row === undefined ? refuses(world, "NotFound") : answers(world, snapshotSeen(name, row));
    },
    async call(caller, { snapshotter, key }) {
      const { info } = await caller.ask(definition, "stat", { snapshotter, key });
      return infoSeen(snapshotter, info!);
    },
  }),

  command("snapshots --snapshotter SNAPSHOTTER mounts KEY", {
    with: { snapshotter, key },
    predict(world, { snapshotter, key }) {
      const row = world.row("snapshot", `${snapshotter}/${key}`);
      if (row === undefined) return refuses(world, "NotFound");
      return row.status === "committed" ? refuses(world, "FailedPrecondition") : answers(world, 1);
    },
    call: async (caller, { snapshotter, key }) =>
      (await caller.ask(definition, "mounts", { snapshotter, key })).mounts.length,
  }),
];
