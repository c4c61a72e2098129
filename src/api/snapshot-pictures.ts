/**
 * shiplog.snapshots.v1.Snapshots: pictures of snapshots that go on, and what can be done with them. Owns the edge's side only: which snapshot is
 * meant, and the messages.
 */
import { ErrorClass, ShiplogError } from "../error.ts";
import type { Labels } from "../events/catalogue.ts";
import { kindOf, type SnapshotState } from "../machines/mod.ts";
import type { MountDescription } from "../platform/mod.ts";
import { type ListedChange, listChanges, type Snapshotter } from "../snapshots/mod.ts";
import { shiplogSnapshots as wire } from "../wire/mod.ts";
import { batches } from "./batches.ts";
import type { Call } from "./call.ts";
import { handedOver } from "./handed-over.ts";
import { holding } from "./holding.ts";
import { storedLabels, validateLabels } from "./labels.ts";
import type { Service } from "./service.ts";
import { type ExportDependencies, exportSnapshot } from "./snapshot-export.ts";
import {
  parentIds,
  removeDirectory,
  rowKey,
  type SnapshotScope,
  snapshotAbsent,
  snapshotRow,
} from "./snapshot-life.ts";
import { restoreSnapshot } from "./snapshot-restore.ts";
import { type TakeDependencies, takeSnapshot } from "./snapshot-take.ts";
import { containersOn } from "./snapshot-users.ts";
import { validKey } from "./snapshots.ts";

/** A snapshot on disk. */
interface Tree {
  readonly snapshotter: Snapshotter;
  readonly id: string;
  readonly kind: "active" | "view" | "committed";
  readonly parents: readonly string[];
}

export type PicturesDependencies = TakeDependencies & ExportDependencies;

/** Entries in one message: far below what one may hold, for keys and paths of ordinary length. */
const entriesMax = 256;

const rootLabel = "containerd.io/gc.root";

export function picturesService(dependencies: PicturesDependencies): Service<typeof wire.SnapshotsDefinition> {
  const { ledger, snapshotters } = dependencies;

  /** @throws ShiplogError InvalidArgument */
  function snapshotterOf(name: string): Snapshotter {
    const snapshotter = snapshotters.get(name);
    if (snapshotter !== undefined) return snapshotter;
    const what = name === "" ? "snapshotter argument missing" : `snapshotter not loaded: ${name}`;
    throw new ShiplogError(ErrorClass.InvalidArgument, what, { reason: "SnapshotterUnknown" });
  }

  /** Of the snapshotter that is named, or of the only one that has such a snapshot. @throws ShiplogError NotFound, InvalidArgument */
  function find(
    namespace: string,
    snapshotterName: string,
    key: string,
  ): { snapshotter: Snapshotter; row: SnapshotState } {
    const candidates = snapshotterName === "" ? [...snapshotters.values()] : [snapshotterOf(snapshotterName)];
    const found = candidates.flatMap((snapshotter) => {
      const row = snapshotRow(ledger.view, namespace, snapshotter, key);
      return row === undefined ? [] : [{ snapshotter, row }];
    });
    if (found.length > 1)
      throw new ShiplogError(
        ErrorClass.InvalidArgument,
        `snapshot ${key} is one of several snapshotters: say of which`,
        {
          reason: "SnapshotterMissing",
        },
      );
    if (found[0] === undefined) throw snapshotAbsent(key);
    return found[0];
  }

  const scopeOf = (call: Call, snapshotter: Snapshotter): SnapshotScope => ({
    snapshotter,
    origin: call.origin(),
    holding: holding(call),
  });

  /**
   * Runs `use` with how to mount what each of the trees shows: a snapshot's, or what the committed ones with these ids show together. What has to
   * be made for that is removed again.
   */
  async function whileShown<T>(
    trees: readonly Tree[],
    use: (mounts: readonly (readonly MountDescription[])[]) => Promise<T>,
  ): Promise<T> {
    const views: { readonly snapshotter: Snapshotter; readonly id: string }[] = [];
    const mounts: (readonly MountDescription[])[] = [];
    try {
      for (const { snapshotter, id, kind, parents } of trees) {
        if (kind !== "committed") {
          mounts.push(await snapshotter.mounts(id, kind, parents));
          continue;
        }
        const view = dependencies.ids.directory();
        views.push({ snapshotter, id: view });
        await snapshotter.create(view, "view", [id, ...parents]);
        mounts.push(await snapshotter.mounts(view, "view", [id, ...parents]));
      }
      return await use(mounts);
    } finally {
      for (const { snapshotter, id } of views) await removeDirectory(dependencies, snapshotter, id);
    }
  }

  function treeOf(namespace: string, snapshotter: Snapshotter, row: SnapshotState): Tree {
    const { id } = row;
    return { snapshotter, id, kind: kindOf(row)!, parents: parentIds(ledger.view, namespace, snapshotter, row) };
  }

  /** The container's snapshot, or the one that is named. */
  function source(namespace: string, { container, snapshotter, key }: wire.TakeRequest) {
    if (container === "") return { snapshotter: find(namespace, snapshotter, key).snapshotter, key };
    const record = ledger.view.containers.get(namespace, container);
    if (record === undefined)
      throw new ShiplogError(ErrorClass.NotFound, `container ${JSON.stringify(container)}`, {
        reason: "ContainerAbsent",
      });
    if (record.snapshotKey === "")
      throw new ShiplogError(ErrorClass.FailedPrecondition, `container ${container} has no snapshot for its root`, {
        reason: "ContainerWithoutSnapshot",
      });
    return { snapshotter: snapshotterOf(record.snapshotter), key: record.snapshotKey };
  }

  return {
    async take(request, call) {
      const namespace = call.namespace();
      const { snapshotter, key } = source(namespace, request);
      const name = validKey(request.name);
      const taken = await takeSnapshot(dependencies, {
        ...scopeOf(call, snapshotter),
        key,
        name,
        labels: labelsOf(request.labels, call, dependencies.clock.now()),
        signal: call.signal,
        users: (view) => containersOn(view, namespace, snapshotter.name, key),
      });
      call.position = taken.next;
      const row = snapshotRow(ledger.view, namespace, snapshotter, name);
      return {
        snapshot: row && message(snapshotter.name, name, row),
        paused: [...taken.paused],
        pausedNanoseconds: BigInt(taken.pausedNs),
        sharedBytes: BigInt(taken.sharedBytes),
        copiedBytes: BigInt(taken.copiedBytes),
      };
    },

    async *list({ snapshotter: name, picturesOnly }, call) {
      const namespace = call.namespace();
      if (name !== "") snapshotterOf(name);
      const { next, value } = await ledger.read((view) => view.snapshots.list(namespace));
      call.position = next;
      const listed = value
        .map(({ key, row }) => ({
          snapshotter: key.slice(0, key.indexOf("/")),
          key: key.slice(key.indexOf("/") + 1),
          row,
        }))
        .filter(
          ({ snapshotter, row }) => (name === "" || snapshotter === name) && (!picturesOnly || row.picture !== null),
        )
        .map(({ snapshotter, key, row }) => message(snapshotter, key, row));
      for (const snapshots of batches(listed, entriesMax)) yield { snapshots };
    },

    async *diff({ snapshotter: name, left, right }, call) {
      const namespace = call.namespace();
      const found = [left, right].map((key) => find(namespace, name, key));
      call.position = (await ledger.read(() => undefined)).next;
      const trees = found.map(({ snapshotter, row }) => treeOf(namespace, snapshotter, row));
      const work = (give: (changes: readonly ListedChange[]) => Promise<void>) =>
        whileShown(trees, ([before, after]) =>
          listChanges({ left: before!, right: after!, signal: call.signal }, give, dependencies.apply),
        );
      for await (const changes of handedOver(work))
        for (const batch of batches(changes, entriesMax)) yield { changes: batch.map(changeMessage) };
    },

    async restore(request, call) {
      const namespace = call.namespace();
      const { snapshotter } = find(namespace, request.snapshotter, request.name);
      validKey(request.key === "" ? request.container : request.key);
      // A container keeps its own snapshot.
      const labels =
        request.container === ""
          ? labelsOf(request.labels, call, dependencies.clock.now())
          : storedLabels(request.labels);
      const { key, next } = await restoreSnapshot(dependencies, scopeOf(call, snapshotter), request, labels);
      call.position = next;
      return { snapshotter: snapshotter.name, key };
    },

    async export({ snapshotter: snapshotterName, name, image }, call) {
      const namespace = call.namespace();
      const { snapshotter, row } = find(namespace, snapshotterName, name);
      if (row.status !== "committed")
        throw new ShiplogError(ErrorClass.FailedPrecondition, `snapshot ${name} is not committed`, {
          reason: "SnapshotNotCommitted",
        });
      const tree = treeOf(namespace, snapshotter, row);
      const [parent, ...others] = tree.parents;
      const below: Tree[] =
        parent === undefined ? [] : [{ snapshotter, id: parent, kind: "committed", parents: others }];
      const made = await whileShown([tree, ...below], ([mounts, parentMounts = []]) =>
        exportSnapshot(
          dependencies,
          { row: rowKey(snapshotter, name), snapshot: row, image, mounts: mounts!, parentMounts },
          call,
        ),
      );
      call.position = made.next;
      const { target, layers, onImage } = made;
      return { digest: target.digest, size: BigInt(target.size), layers, onImage };
    },
  };
}

/** Nothing else refers to what a person has made under a name, so it keeps itself unless a lease does. */
function labelsOf(labels: Labels, call: Call, now: bigint): Labels {
  validateLabels(labels, "snapshot.Labels");
  if (call.lease !== undefined || Object.hasOwn(labels, rootLabel)) return storedLabels(labels);
  return storedLabels({ ...labels, [rootLabel]: new Date(Number(now / 1_000_000n)).toISOString() });
}

function message(snapshotter: string, name: string, row: SnapshotState): wire.Snapshot {
  const { parent, labels, createdAt, size, inodes, picture } = row;
  return {
    snapshotter,
    name,
    kind: kindOf(row) ?? "",
    parent,
    labels: { ...labels },
    createdUnixNano: createdAt,
    size: BigInt(size),
    inodes: BigInt(inodes),
    picture:
      picture === null ? undefined : { key: picture.key, container: picture.container, timeUnixNano: picture.at },
  };
}

const kinds = {
  added: wire.Change_Kind.ADDED,
  modified: wire.Change_Kind.MODIFIED,
  deleted: wire.Change_Kind.DELETED,
} as const;

const changeMessage = ({ path, kind, size, mode }: ListedChange): wire.Change => ({
  path,
  kind: kinds[kind],
  size: BigInt(size),
  mode,
});
