/** The beginning of a snapshot: its directory made, and then recorded; or found to be there already, by whoever keeps it. */
import { ErrorClass, ShiplogError } from "../error.ts";
import type { Labels } from "../events/catalogue.ts";
import type { Step, View } from "../ledger.ts";
import type { ObservedParent } from "../machines/mod.ts";
import type { MountDescription } from "../platform/mod.ts";
import type { CreateResult, SnapshotKind } from "../snapshots/mod.ts";
import {
  parentIds,
  passedOn,
  removeDirectory,
  rowKey,
  type SnapshotDependencies,
  type SnapshotScope,
  snapshotExists,
  snapshotResource,
  snapshotRow,
  targetLabel,
} from "./snapshot-life.ts";

export interface CreateRequest extends SnapshotScope {
  readonly kind: SnapshotKind;
  readonly key: string;
  /** Name of a committed snapshot, or empty. */
  readonly parent: string;
  readonly labels: Labels;
  /** What is recorded together with the snapshot. */
  readonly also?: readonly Step[];
}

/**
 * Prepares or views.
 * @throws ShiplogError AlreadyExists when the key is taken, by a snapshot that the caller's lease then holds, or when the target that the
 * labels name is there; NotFound and InvalidArgument for a parent that is absent or not committed; NotFound for an unknown lease
 */
export async function createSnapshot(
  dependencies: SnapshotDependencies,
  request: CreateRequest,
): Promise<{ readonly next: number; readonly mounts: readonly MountDescription[] }> {
  const { ledger, ids } = dependencies;
  const { origin, holding, snapshotter, kind, key, parent, labels } = request;
  const { namespace } = origin;
  const target = labels[targetLabel];
  if (target !== undefined && snapshotRow(ledger.view, namespace, snapshotter, target) !== undefined) {
    await ledger.read(() => undefined);
    throw targetExists(target);
  }
  const resource = snapshotResource(snapshotter, key);
  const isTaken = (view: View) => snapshotRow(view, namespace, snapshotter, key) !== undefined;
  if (isTaken(ledger.view)) {
    await ledger.transact(origin, (view) => (isTaken(view) ? holding.hold(view, resource) : []));
    throw snapshotExists(key);
  }
  const parentRow = parent === "" ? undefined : snapshotRow(ledger.view, namespace, snapshotter, parent);
  const parents =
    parentRow === undefined ? [] : [parentRow.id, ...parentIds(ledger.view, namespace, snapshotter, parentRow)];
  const observedParent = (view: View): ObservedParent => {
    if (parent === "") return "none";
    const row = snapshotRow(view, namespace, snapshotter, parent);
    // Removed and made again it is another snapshot than the one that the directory was made on.
    return row === undefined || row.id !== parents[0] ? "absent" : row.status;
  };
  const id = ids.directory();
  let taken = false;
  try {
    // Otherwise the decision below is a refusal: what is no parent now will not become one under this id.
    const seen = observedParent(ledger.view);
    const made =
      seen === "none" || seen === "committed"
        ? await makeDirectory(request, id, parents, () => observedParent(ledger.view) === "absent")
        : undefined;
    if (made !== undefined && target !== undefined) {
      await recordTarget(dependencies, request, target, made);
      throw targetExists(target);
    }
    const { next } = await ledger.transact(origin, (view) => {
      taken = isTaken(view);
      if (taken) return holding.hold(view, resource);
      const type = kind === "active" ? "PrepareSnapshot" : "ViewSnapshot";
      const command = { type, key, id, parent, observedParent: observedParent(view), labels } as const;
      const steps = [...holding.hold(view, resource), ...(request.also ?? [])];
      return [{ kind: "snapshot", key: rowKey(snapshotter, key), command }, ...steps];
    });
    if (taken) throw snapshotExists(key);
    return { next, mounts: await snapshotter.mounts(id, kind, parents) };
  } catch (error) {
    if (snapshotRow(ledger.view, namespace, snapshotter, key)?.id !== id)
      await removeDirectory(dependencies, snapshotter, id);
    throw error;
  }
}

const targetExists = (target: string) =>
  new ShiplogError(ErrorClass.AlreadyExists, `target snapshot ${JSON.stringify(target)}`, { reason: "TargetExists" });

/** The namespace has what the snapshotter had by itself from now on, under the name that the client wanted to commit it as. */
async function recordTarget(
  { ledger }: SnapshotDependencies,
  { origin, holding, snapshotter, key, parent, labels }: CreateRequest,
  target: string,
  { committed: id, usage }: CreateResult,
): Promise<void> {
  await ledger.transact(origin, (view) => {
    const held = holding.hold(view, snapshotResource(snapshotter, target));
    if (snapshotRow(view, origin.namespace, snapshotter, target) !== undefined) return held;
    const command = { type: "SealSnapshot", name: target, key, id, parent, labels, ...usage } as const;
    return [{ kind: "snapshot", key: rowKey(snapshotter, target), command }, ...held];
  });
}

async function makeDirectory(
  { snapshotter, kind, parent, labels }: CreateRequest,
  id: string,
  parents: readonly string[],
  parentHasGone: () => boolean,
): Promise<CreateResult | undefined> {
  try {
    return await snapshotter.create(id, kind, parents, passedOn(labels));
  } catch (error) {
    if (!parentHasGone()) throw error;
    throw new ShiplogError(ErrorClass.NotFound, `parent snapshot ${parent} does not exist`, {
      reason: "ParentAbsent",
      cause: error,
    });
  }
}
