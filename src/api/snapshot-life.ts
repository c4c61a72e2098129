/**
 * The life of a snapshot: its row in the ledger and its directory, kept together. Owns the order of the two. A directory is made before it is
 * recorded and removed after its removal is, so a crash leaves directories that no row names, which the start-up sweep takes, and never a row
 * without its directory.
 *
 * Nothing here locks a key. A directory's id is never used twice, so whoever looked at a snapshot, did slow work on its directory and then
 * decides, can tell from the id whether it is still the same one; the decision is made on the row as it is then, in one step.
 */
import type { Holding } from "../content/mod.ts";
import { ErrorClass, ShiplogError } from "../error.ts";
import type { Labels } from "../events/catalogue.ts";
import type { Ledger, Origin, Outcome, View } from "../ledger.ts";
import { kindOf, type LeaseResource, type SnapshotState } from "../machines/mod.ts";
import type { Ids, MountDescription } from "../platform/mod.ts";
import type { Snapshotter, Usage } from "../snapshots/mod.ts";

export interface SnapshotDependencies {
  readonly ledger: Ledger;
  /** By name. */
  readonly snapshotters: ReadonlyMap<string, Snapshotter>;
  readonly ids: Pick<Ids, "directory">;
  /** Told of directories that could not be removed though no row names them; the next start's sweep removes them. */
  readonly onLeftover: (error: Error) => void;
}

/**
 * What a client means to commit the new snapshot as: where it is there already, there is nothing to fill, and the client is told so. Only
 * snapshotters of other processes can have one that the namespace has not (metadata/snapshot.go, createSnapshot).
 */
export const targetLabel = "containerd.io/snapshot.ref";

/** Who changes which snapshotter's snapshots. */
export interface SnapshotScope {
  readonly origin: Origin;
  readonly holding: Holding;
  readonly snapshotter: Snapshotter;
}

export interface CommitRequest extends SnapshotScope {
  readonly key: string;
  readonly name: string;
  readonly labels: Labels;
}

/** A snapshot's row. */
export function snapshotRow(
  view: View,
  namespace: string,
  snapshotter: Snapshotter,
  key: string,
): SnapshotState | undefined {
  return view.snapshots.get(namespace, rowKey(snapshotter, key));
}

/** Directory ids of a snapshot's parents, nearest first. */
export function parentIds(
  view: View,
  namespace: string,
  snapshotter: Snapshotter,
  row: Pick<SnapshotState, "parent">,
): string[] {
  const ids: string[] = [];
  for (let name = row.parent; name !== ""; ) {
    const parent = snapshotRow(view, namespace, snapshotter, name);
    if (parent === undefined)
      throw new Error(`parents of a snapshot on ${snapshotter.name}: ${name} is recorded as one and absent`);
    ids.push(parent.id);
    name = parent.parent;
  }
  return ids;
}

export const snapshotAbsent = (key: string, cause?: unknown) =>
  new ShiplogError(ErrorClass.NotFound, `snapshot ${key} does not exist`, {
    reason: "SnapshotAbsent",
    ...(cause === undefined ? {} : { cause }),
  });

/**
 * Makes the active snapshot `key` the committed snapshot `name`. What was written is on disk, and measured, before it is recorded.
 *
 * A remove of the key may be decided at any time in between. If it is decided first, this finds the row gone or another in its place, and is
 * NotFound, whatever the removal of the directory did to the measuring. If this is decided first, the remove finds no row of that key, so it
 * removes no directory.
 * @throws ShiplogError AlreadyExists when the name is taken, by a snapshot that the caller's lease then holds; NotFound; FailedPrecondition
 * when the snapshot is a view
 */
export async function commitSnapshot({ ledger }: SnapshotDependencies, request: CommitRequest): Promise<Outcome> {
  const { origin, holding, snapshotter, key, name, labels } = request;
  const { namespace } = origin;
  const resource = snapshotResource(snapshotter, name);
  const isTaken = (view: View) => snapshotRow(view, namespace, snapshotter, name) !== undefined;
  if (isTaken(ledger.view)) {
    await ledger.transact(origin, (view) => (isTaken(view) ? holding.hold(view, resource) : []));
    throw snapshotExists(name);
  }
  refuseVolume(ledger.view, namespace, snapshotter, key, snapshotRow(ledger.view, namespace, snapshotter, key));
  const measured = await measure(ledger, request);
  let taken = false;
  const outcome = await ledger.transact(origin, (view) => {
    taken = isTaken(view);
    if (taken) return holding.hold(view, resource);
    const row = snapshotRow(view, namespace, snapshotter, key);
    refuseVolume(view, namespace, snapshotter, key, row);
    const commit = {
      kind: "snapshot",
      key: rowKey(snapshotter, key),
      command: { type: "CommitSnapshot", key, name, nameTaken: false },
    } as const;
    // There is nothing to seal, and the refusal is the decider's to word.
    if (row?.status !== "active") return [commit];
    if (row.id !== measured?.id) throw snapshotAbsent(key);
    const { id, parent } = row;
    return [
      commit,
      {
        kind: "snapshot",
        key: rowKey(snapshotter, name),
        command: { type: "SealSnapshot", name, key, id, parent, labels, size: measured.size, inodes: measured.inodes },
      },
      ...holding.hold(view, resource),
      ...holding.release(view, snapshotResource(snapshotter, key)),
    ];
  });
  if (taken) throw snapshotExists(name);
  return outcome;
}

/** Says of a snapshot that it holds the content of a volume. */
export const volumeOwnerLabel = "shiplog/volume";

/** A snapshot that a volume is made of goes with the volume. @throws ShiplogError FailedPrecondition */
function refuseVolume(
  view: View,
  namespace: string,
  { name }: Snapshotter,
  key: string,
  row: SnapshotState | undefined,
): void {
  const owner = row?.labels[volumeOwnerLabel];
  const volume = owner === undefined ? undefined : view.volumes.get(namespace, owner);
  if (volume?.snapshotter !== name || volume.snapshotKey !== key) return;
  throw new ShiplogError(ErrorClass.FailedPrecondition, `snapshot ${key} is volume ${JSON.stringify(owner)}`, {
    reason: "SnapshotOfVolume",
  });
}

/** @throws ShiplogError NotFound; FailedPrecondition when it has children, or holds a volume */
export async function removeSnapshot(
  dependencies: SnapshotDependencies,
  { origin, holding, snapshotter }: SnapshotScope,
  key: string,
): Promise<Outcome> {
  const { ledger } = dependencies;
  let id: string | undefined;
  const outcome = await ledger.transact(origin, (view) => {
    const row = snapshotRow(view, origin.namespace, snapshotter, key);
    refuseVolume(view, origin.namespace, snapshotter, key, row);
    id = row?.id;
    const children = view.snapshotChildren(origin.namespace, rowKey(snapshotter, key));
    return [
      { kind: "snapshot", key: rowKey(snapshotter, key), command: { type: "RemoveSnapshot", key, children } },
      ...holding.release(view, snapshotResource(snapshotter, key)),
    ];
  });
  if (id !== undefined) await removeDirectory(dependencies, snapshotter, id);
  return outcome;
}

/** The directory's usage, once everything in it is on disk; undefined when the key names no active snapshot. */
async function measure(
  ledger: Ledger,
  { origin, snapshotter, key, labels }: CommitRequest,
): Promise<(Usage & { readonly id: string }) | undefined> {
  const row = snapshotRow(ledger.view, origin.namespace, snapshotter, key);
  if (row?.status !== "active") return undefined;
  const parents = parentIds(ledger.view, origin.namespace, snapshotter, row);
  try {
    await snapshotter.sync(row.id);
    await snapshotter.commit?.(row.id, passedOn(labels));
    return { id: row.id, ...(await snapshotter.usage(row.id, "active", parents)) };
  } catch (error) {
    if (snapshotRow(ledger.view, origin.namespace, snapshotter, key)?.id !== row.id) throw snapshotAbsent(key, error);
    throw error;
  }
}

/** The labels that reach a snapshotter (containerd: snapshots/snapshotter.go, FilterInheritedLabels). */
export function passedOn(labels: Labels): Labels {
  const isPassed = (label: string) => label === targetLabel || label.startsWith("containerd.io/snapshot/");
  return Object.fromEntries(Object.entries(labels).filter(([label]) => isPassed(label)));
}

export async function removeDirectory(
  { onLeftover }: Pick<SnapshotDependencies, "onLeftover">,
  snapshotter: Snapshotter,
  id: string,
): Promise<void> {
  try {
    await snapshotter.remove(id);
  } catch (error) {
    onLeftover(new Error(`remove directory ${id} of ${snapshotter.name}`, { cause: error }));
  }
}

export function snapshotResource(snapshotter: Snapshotter, key: string): LeaseResource {
  return { type: `snapshots/${snapshotter.name}`, id: key };
}

export function rowKey(snapshotter: Snapshotter, key: string): string {
  return `${snapshotter.name}/${key}`;
}

export const snapshotExists = (key: string) =>
  new ShiplogError(ErrorClass.AlreadyExists, `snapshot ${JSON.stringify(key)}`, { reason: "SnapshotExists" });

/** How to mount the active snapshot or view that a container has for its root. @throws ShiplogError NotFound, FailedPrecondition */
export async function rootfsMounts(
  view: View,
  snapshotters: ReadonlyMap<string, Snapshotter>,
  namespace: string,
  { snapshotter, snapshotKey: key }: { readonly snapshotter: string; readonly snapshotKey: string },
): Promise<readonly MountDescription[]> {
  return key === "" ? [] : (await activeMounts(view, snapshotters, namespace, snapshotter, key)).mounts;
}

/** How to mount an active snapshot or view, and the id of its directory. @throws ShiplogError NotFound, FailedPrecondition */
export async function activeMounts(
  view: View,
  snapshotters: ReadonlyMap<string, Snapshotter>,
  namespace: string,
  name: string,
  key: string,
): Promise<{ readonly id: string; readonly mounts: readonly MountDescription[] }> {
  const snapshotter = snapshotters.get(name);
  const row = snapshotter && snapshotRow(view, namespace, snapshotter, key);
  if (row === undefined || snapshotter === undefined) throw snapshotAbsent(key);
  const kind = kindOf(row);
  if (kind !== "active" && kind !== "view") throw snapshotCommitted(key);
  const parents = parentIds(view, namespace, snapshotter, row);
  return { id: row.id, mounts: await snapshotter.mounts(row.id, kind, parents) };
}

export const snapshotCommitted = (key: string) =>
  new ShiplogError(ErrorClass.FailedPrecondition, `requested snapshot ${key} not active or view`, {
    reason: "SnapshotCommitted",
  });
