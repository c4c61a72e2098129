/** A container's record as it was at a moment of the log, also when the container has gone since. Owns finding it; the tables keep every version. */
import type { Ledger } from "../ledger.ts";
import type { ContainerState, SnapshotState } from "../machines/mod.ts";
import type { VersionedRow } from "../projections/mod.ts";

export interface RecordDependencies {
  readonly ledger: Ledger;
  readonly versions: (kind: "container" | "snapshot", namespace: string, key: string) => AsyncIterable<VersionedRow>;
}

/** The record of the container that a picture was taken of, as it was then; undefined for what is no picture of a container's root. */
export async function recordOfPicture(
  { versions }: RecordDependencies,
  namespace: string,
  /** Of the picture. */
  row: string,
  { picture }: SnapshotState,
): Promise<{ readonly id: string; readonly record: ContainerState } | undefined> {
  if (picture === null || picture.container === "") return undefined;
  let takenAt: number | undefined;
  for await (const version of versions("snapshot", namespace, row))
    if ((version.row as SnapshotState | null)?.picture?.at === picture.at) takenAt ??= version.position;
  let record: ContainerState | undefined;
  for await (const version of versions("container", namespace, picture.container)) {
    if (takenAt !== undefined && version.position > takenAt) break;
    record = (version.row as ContainerState | null) ?? undefined;
  }
  return record && { id: picture.container, record };
}
