/**
 * shiplog.snapshots.v1.Volumes: active snapshots under names of their own. Owns which snapshot a volume is when, and the messages; where it is
 * mounted is the containers' and their tasks' doing.
 */
import { ErrorClass, ShiplogError } from "../error.ts";
import type { Labels } from "../events/catalogue.ts";
import type { View } from "../ledger.ts";
import type { VolumeState } from "../machines/mod.ts";
import type { Snapshotter } from "../snapshots/mod.ts";
import type { shiplogVolumes as wire } from "../wire/mod.ts";
import { batches } from "./batches.ts";
import type { Call } from "./call.ts";
import { holding } from "./holding.ts";
import { identifier } from "./identifier.ts";
import { storedLabels, validateLabels } from "./labels.ts";
import type { Service } from "./service.ts";
import { createSnapshot } from "./snapshot-create.ts";
import {
  removeDirectory,
  rowKey,
  type SnapshotScope,
  snapshotAbsent,
  snapshotRow,
  volumeOwnerLabel,
} from "./snapshot-life.ts";
import { type TakeDependencies, takeSnapshot } from "./snapshot-take.ts";
import { validKey } from "./snapshots.ts";

/** Entries in one message: far below what one may hold, for names of ordinary length. */
const entriesMax = 256;

const snapshotterDefault = "overlayfs";

/** Keeps its snapshots: nothing else refers to them that containerd's rules know. */
const rootLabel = "containerd.io/gc.root";

export function volumesService(dependencies: TakeDependencies): Service<typeof wire.VolumesDefinition> {
  const { ledger, snapshotters, ids, clock } = dependencies;

  function scopeOf(call: Call, name: string): SnapshotScope {
    const snapshotter = snapshotters.get(name);
    if (snapshotter === undefined)
      throw new ShiplogError(ErrorClass.InvalidArgument, `snapshotter not loaded: ${name}`, {
        reason: "SnapshotterUnknown",
      });
    return { snapshotter, origin: call.origin(), holding: holding(call) };
  }

  /** @throws ShiplogError NotFound */
  function find(namespace: string, name: string): VolumeState {
    const row = ledger.view.volumes.get(namespace, name);
    if (row !== undefined) return row;
    throw new ShiplogError(ErrorClass.NotFound, `volume ${JSON.stringify(name)}`, { reason: "VolumeAbsent" });
  }

  const kept = (name: string): Labels => ({
    [volumeOwnerLabel]: name,
    [rootLabel]: new Date(Number(clock.now() / 1_000_000n)).toISOString(),
  });

  /** Of the active snapshots of one volume, each of which has its own: a name is not used twice. */
  const newKey = (name: string) => `volume/${name}/${ids.directory()}`;

  return {
    async create({ name, snapshotter: asked, exclusive, from, labels }, call) {
      identifier(name, "volume validation");
      validateLabels(labels, "volume.Labels");
      const namespace = call.namespace();
      if (ledger.view.volumes.get(namespace, name) !== undefined)
        throw new ShiplogError(ErrorClass.AlreadyExists, `volume ${JSON.stringify(name)}`, { reason: "VolumeExists" });
      const scope = scopeOf(call, asked === "" ? snapshotterDefault : asked);
      const key = newKey(name);
      const sharing = exclusive ? "exclusive" : "shared";
      const own = {
        snapshotter: scope.snapshotter.name,
        snapshotKey: key,
        sharing,
        labels: storedLabels(labels),
      } as const;
      const also = [{ kind: "volume", key: name, command: { type: "CreateVolume", name, ...own } }] as const;
      const request = { ...scope, kind: "active", key, parent: from, labels: kept(name), also } as const;
      const { next } = await createSnapshot(dependencies, request);
      call.position = next;
      return { volume: message(ledger.view, namespace, name, find(namespace, name)) };
    },

    async *list(_request, call) {
      const namespace = call.namespace();
      const { next, value } = await ledger.read((view) => view.volumes.list(namespace));
      call.position = next;
      const listed = value.map(({ key, row }) => message(ledger.view, namespace, key, row));
      for (const volumes of batches(listed, entriesMax)) yield { volumes };
    },

    async remove({ name }, call) {
      const namespace = call.namespace();
      const { snapshotter } = scopeOf(call, find(namespace, name).snapshotter);
      let id: string | undefined;
      const { next } = await ledger.transact(call.origin(), (view) => {
        const key = view.volumes.get(namespace, name)?.snapshotKey ?? "";
        id = snapshotRow(view, namespace, snapshotter, key)?.id;
        return [
          { kind: "volume", key: name, command: { type: "RemoveVolume", name } },
          ...removal(view, namespace, snapshotter, key),
        ];
      });
      if (id !== undefined) await removeDirectory(dependencies, snapshotter, id);
      call.position = next;
      return {};
    },

    async snapshot({ name, picture }, call) {
      const namespace = call.namespace();
      const row = find(namespace, name);
      const scope = scopeOf(call, row.snapshotter);
      const taken = await takeSnapshot(dependencies, {
        ...scope,
        key: row.snapshotKey,
        name: validKey(picture),
        labels: kept(name),
        signal: call.signal,
        users: (view) => Object.keys(view.volumes.get(namespace, name)?.mounts ?? {}),
        steps: () => [{ kind: "volume", key: name, command: { type: "RecordVolumePictured", name, picture } }],
      });
      call.position = taken.next;
      const { paused, pausedNs, sharedBytes, copiedBytes } = taken;
      return {
        paused: [...paused],
        pausedNanoseconds: BigInt(pausedNs),
        sharedBytes: BigInt(sharedBytes),
        copiedBytes: BigInt(copiedBytes),
      };
    },

    async rollBack({ name, picture }, call) {
      const namespace = call.namespace();
      const row = find(namespace, name);
      const scope = scopeOf(call, row.snapshotter);
      const { snapshotter } = scope;
      if (snapshotRow(ledger.view, namespace, snapshotter, picture) === undefined) throw snapshotAbsent(picture);
      const key = newKey(name);
      const old = snapshotRow(ledger.view, namespace, snapshotter, row.snapshotKey);
      const also = [
        { kind: "volume", key: name, command: { type: "RollBackVolume", name, picture, snapshotKey: key } },
        ...removal(ledger.view, namespace, snapshotter, row.snapshotKey),
      ] as const;
      const request = { ...scope, kind: "active", key, parent: picture, labels: kept(name), also } as const;
      const { next } = await createSnapshot(dependencies, request);
      if (old !== undefined) await removeDirectory(dependencies, snapshotter, old.id);
      call.position = next;
      return {};
    },
  };
}

/** An active snapshot has no children. */
function removal(view: View, namespace: string, snapshotter: Snapshotter, key: string) {
  if (snapshotRow(view, namespace, snapshotter, key) === undefined) return [];
  return [
    { kind: "snapshot", key: rowKey(snapshotter, key), command: { type: "RemoveSnapshot", key, children: 0 } },
  ] as const;
}

function message(view: View, namespace: string, name: string, row: VolumeState): wire.Volume {
  const { snapshotter, snapshotKey, sharing, labels, mounts, createdAt } = row;
  return {
    name,
    snapshotter,
    snapshotKey,
    exclusive: sharing === "exclusive",
    labels: { ...labels },
    mounts: Object.entries(mounts).map(([container, { path, readOnly, since }]) => ({
      container,
      path,
      readOnly,
      sinceUnixNano: since,
    })),
    createdUnixNano: createdAt,
    parent: view.snapshots.get(namespace, `${snapshotter}/${snapshotKey}`)?.parent ?? "",
  };
}
