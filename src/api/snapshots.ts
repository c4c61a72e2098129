/**
 * containerd.services.snapshots.v1.Snapshots: layers in work and committed, per snapshotter. Owns the edge's side only: which snapshotter, which
 * labels, containerd's classes and words (services/snapshots/service.go and metadata/snapshot.go, v1.6.20).
 */
import { ErrorClass, ShiplogError } from "../error.ts";
import type { Labels } from "../events/catalogue.ts";
import { kindOf, type SnapshotState } from "../machines/mod.ts";
import type { MountDescription } from "../platform/mod.ts";
import type { SnapshotKind, Snapshotter, Usage } from "../snapshots/mod.ts";
import { type Mount, timestampFromUnixNano, snapshots as wire } from "../wire/mod.ts";
import { batches } from "./batches.ts";
import type { Call } from "./call.ts";
import { type Adaptor, labelField, parseFilter } from "./filter/mod.ts";
import { holding } from "./holding.ts";
import { storedLabels, validateLabels } from "./labels.ts";
import { maskedLabels, maskPaths } from "./mask.ts";
import type { Service } from "./service.ts";
import { createSnapshot } from "./snapshot-create.ts";
import {
  commitSnapshot,
  parentIds,
  removeSnapshot,
  rowKey,
  type SnapshotDependencies,
  type SnapshotScope,
  snapshotAbsent,
  snapshotCommitted,
  snapshotRow,
} from "./snapshot-life.ts";

/** As containerd's server does. */
const infosPerMessageMax = 100;

/** The longest key that containerd's database takes (bbolt, MaxKeySize). */
const keyBytesMax = 32_768;

const updatable = { fields: ["labels"], maps: ["labels"] };

interface Found extends SnapshotState {
  readonly kind: NonNullable<ReturnType<typeof kindOf>>;
  /** Directory ids, nearest first. */
  readonly parents: readonly string[];
}

export function snapshotsService(dependencies: SnapshotDependencies): Service<typeof wire.SnapshotsDefinition> {
  const { ledger } = dependencies;

  function snapshotterOf(name: string): Snapshotter {
    if (name === "")
      throw new ShiplogError(ErrorClass.InvalidArgument, "snapshotter argument missing", {
        reason: "SnapshotterMissing",
      });
    const snapshotter = dependencies.snapshotters.get(name);
    if (snapshotter !== undefined) return snapshotter;
    throw new ShiplogError(ErrorClass.InvalidArgument, `snapshotter not loaded: ${name}`, {
      reason: "SnapshotterUnknown",
    });
  }

  function scopeOf(call: Call, snapshotter: string): SnapshotScope {
    return { snapshotter: snapshotterOf(snapshotter), origin: call.origin(), holding: holding(call) };
  }

  async function create(
    kind: SnapshotKind,
    request: wire.PrepareSnapshotRequest,
    call: Call,
  ): Promise<{ mounts: Mount[] }> {
    const scope = scopeOf(call, request.snapshotter);
    const { next, mounts } = await createSnapshot(dependencies, {
      ...scope,
      kind,
      key: validKey(request.key),
      parent: request.parent,
      labels: validLabels(request.labels),
    });
    call.position = next;
    return { mounts: mounts.map(mountMessage) };
  }

  /** A snapshot with the ids of its parents, as of now. */
  async function find(call: Call, snapshotter: Snapshotter, key: string): Promise<Found> {
    const namespace = call.namespace();
    const { next, value } = await ledger.read((view) => {
      const row = snapshotRow(view, namespace, snapshotter, key);
      const kind = row && kindOf(row);
      return kind && { ...row, kind, parents: parentIds(view, namespace, snapshotter, row) };
    });
    call.position = next;
    if (value === undefined) throw snapshotAbsent(key);
    return value;
  }

  return {
    prepare: (request, call) => create("active", request, call),

    view: (request, call) => create("view", request, call),

    async mounts({ snapshotter: name, key }, call) {
      const snapshotter = snapshotterOf(name);
      const { id, kind, parents } = await find(call, snapshotter, key);
      if (kind === "committed") throw snapshotCommitted(key);
      return { mounts: (await snapshotter.mounts(id, kind, parents)).map(mountMessage) };
    },

    async commit({ snapshotter, key, name, labels }, call) {
      const scope = scopeOf(call, snapshotter);
      const { next } = await commitSnapshot(dependencies, {
        ...scope,
        key,
        name: validKey(name),
        labels: validLabels(labels),
      });
      call.position = next;
      return {};
    },

    async remove({ snapshotter, key }, call) {
      const { next } = await removeSnapshot(dependencies, scopeOf(call, snapshotter), key);
      call.position = next;
      return {};
    },

    async stat({ snapshotter, key }, call) {
      return { info: infoMessage(key, await find(call, snapshotterOf(snapshotter), key)) };
    },

    async update({ snapshotter: snapshotterName, info, updateMask }, call) {
      const snapshotter = snapshotterOf(snapshotterName);
      const { name, labels } = info ?? { name: "", labels: {} };
      const namespace = call.namespace();
      validKey(name);
      let row: SnapshotState | undefined;
      const { next, facts } = await ledger.transact(call.origin(), (view) => {
        row = snapshotRow(view, namespace, snapshotter, name);
        if (row === undefined) throw snapshotAbsent(name);
        const paths = maskPaths(updateMask, updatable, `snapshot ${JSON.stringify(name)}`);
        const updated = validLabels(maskedLabels(paths, "labels", row.labels, labels) ?? row.labels);
        return [
          {
            kind: "snapshot",
            key: rowKey(snapshotter, name),
            command: { type: "UpdateSnapshot", key: name, labels: updated },
          },
        ];
      });
      call.position = next;
      for (const fact of facts)
        if (fact.type === "SnapshotUpdated") row = { ...row!, labels: fact.data.labels, updatedAt: fact.time };
      return { info: infoMessage(name, row!) };
    },

    async *list({ snapshotter: name, filters }, call) {
      const snapshotter = snapshotterOf(name);
      const namespace = call.namespace();
      const wanted = parseFilter(filters, "unmapped");
      const prefix = rowKey(snapshotter, "");
      const { next, value: rows } = await ledger.read((view) => view.snapshots.list(namespace));
      call.position = next;
      const infos = rows
        .filter(({ key }) => key.startsWith(prefix))
        .map(({ key, row }) => ({ key: key.slice(prefix.length), row }))
        .filter(({ key, row }) => wanted(snapshotAdaptor(key, row)))
        .map(({ key, row }) => infoMessage(key, row));
      for (const info of batches(infos, infosPerMessageMax)) yield { info };
    },

    async usage({ snapshotter: name, key }, call) {
      const snapshotter = snapshotterOf(name);
      const { id, kind, parents, size, inodes } = await find(call, snapshotter, key);
      if (kind === "committed") return usageMessage({ size, inodes });
      try {
        return usageMessage(await snapshotter.usage(id, kind, parents));
      } catch (error) {
        // Removed while its directory was being measured.
        if (snapshotRow(ledger.view, call.namespace(), snapshotter, key)?.id !== id) throw snapshotAbsent(key, error);
        throw error;
      }
    },
  };
}

/** @throws ShiplogError InvalidArgument; containerd's database refuses these late and without a class */
export function validKey(key: string): string {
  const complaint =
    key === "" ? "empty" : Buffer.byteLength(key) > keyBytesMax ? `longer than ${keyBytesMax} bytes` : undefined;
  if (complaint === undefined) return key;
  throw new ShiplogError(ErrorClass.InvalidArgument, `snapshot key or name is ${complaint}`, {
    reason: "SnapshotKeyInvalid",
  });
}

/** @throws ShiplogError InvalidArgument */
function validLabels(labels: Labels): Labels {
  validateLabels(labels, "info.Labels");
  return storedLabels(labels);
}

const snapshotAdaptor =
  (name: string, { status, parent, labels }: SnapshotState): Adaptor =>
  ([field, ...rest]) => {
    switch (field) {
      case "kind":
        return kindOf({ status });
      case "name":
        return name;
      case "parent":
        return parent;
      case "labels":
        return labelField(labels, rest);
      default:
        return undefined;
    }
  };

const kinds = {
  active: wire.Kind.ACTIVE,
  view: wire.Kind.VIEW,
  committed: wire.Kind.COMMITTED,
  taking: wire.Kind.ACTIVE,
  absent: wire.Kind.UNKNOWN,
} as const;

function infoMessage(name: string, { status, parent, labels, createdAt, updatedAt }: SnapshotState): wire.Info {
  return {
    name,
    parent,
    kind: kinds[status],
    createdAt: timestampFromUnixNano(createdAt),
    updatedAt: timestampFromUnixNano(updatedAt),
    labels: { ...labels },
  };
}

function mountMessage({ type, source, target, options }: MountDescription): Mount {
  return { type, source, target: target ?? "", options: [...options] };
}

function usageMessage({ size, inodes }: Usage): wire.UsageResponse {
  return { size: BigInt(size), inodes: BigInt(inodes) };
}
