/**
 * Brings the snapshotters' directories in line with the tables, at start. Owns nothing else: while the daemon runs, whoever ends a snapshot
 * removes its directory.
 */
import { ErrorClass, ShiplogError } from "../error.ts";
import type { View } from "../ledger.ts";
import { kindOf } from "../machines/mod.ts";
import type { Snapshotter } from "../snapshots/mod.ts";
import { parentIds, rowKey } from "./snapshot-life.ts";

export interface SnapshotSweep {
  /** Directories that no row named. */
  readonly removed: number;
  /** Directories of active snapshots and views that a power cut had taken, made anew and empty. */
  readonly remade: number;
}

/** To be awaited before anything is served. `onLeftover` is told of directories that could not be removed. */
export async function sweepSnapshots(
  view: View,
  snapshotters: ReadonlyMap<string, Snapshotter>,
  onLeftover: (error: Error) => void,
): Promise<SnapshotSweep> {
  let removed = 0;
  let remade = 0;
  for (const snapshotter of snapshotters.values()) {
    try {
      await sweep(snapshotter);
    } catch (error) {
      // Another process's snapshots are not needed to serve everything else.
      if (!(error instanceof ShiplogError) || error.class !== ErrorClass.Unavailable) throw error;
      onLeftover(new Error(`look for what is left over of ${snapshotter.name}`, { cause: error }));
    }
  }
  return { removed, remade };

  async function sweep(snapshotter: Snapshotter): Promise<void> {
    const owned = new Set<string>();
    for (const { namespace, key, row } of view.snapshots.all()) {
      if (!key.startsWith(rowKey(snapshotter, ""))) continue;
      owned.add(row.id);
      const kind = kindOf(row);
      if (kind !== "active" && kind !== "view") continue;
      const parents = parentIds(view, namespace, snapshotter, row);
      if (await snapshotter.exists(row.id, kind, parents)) continue;
      await snapshotter.create(row.id, kind, parents);
      remade++;
    }
    for (const id of await snapshotter.list()) {
      if (owned.has(id)) continue;
      try {
        await snapshotter.remove(id);
        removed++;
      } catch (error) {
        onLeftover(new Error(`remove directory ${id} of ${snapshotter.name}`, { cause: error }));
      }
    }
  }
}
