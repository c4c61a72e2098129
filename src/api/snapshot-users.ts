/** Who may be writing a snapshot now. Owns the reading of that from the tables; no process is asked. */
import type { View } from "../ledger.ts";

/** Containers that have the active snapshot for their root. */
export function containersOn(view: View, namespace: string, snapshotter: string, key: string): string[] {
  return view.containers
    .list(namespace)
    .filter(({ row }) => row.snapshotter === snapshotter && row.snapshotKey === key)
    .map(({ key: id }) => id);
}

/** Those of the containers whose processes run, or are about to. */
export function running(view: View, namespace: string, containers: readonly string[]): string[] {
  return containers.filter((id) => {
    const status = view.tasks.get(namespace, id)?.status;
    return status === "running" || status === "starting";
  });
}
