/** What the tables look like to those who decide and answer from them: consistent, synchronous, and read-only. */
import type { Position } from "../events/fact.ts";
import type { Kind, States } from "../machines/mod.ts";
import type { TableName } from "./stream.ts";

/** A table's rows as they are now, deleted entities left out. Lists are in ascending key order (by code unit). */
export interface Table<Row> {
  get(namespace: string, key: string): Row | undefined;
  list(namespace: string): readonly { readonly key: string; readonly row: Row }[];
  /** Of every namespace. */
  all(): Iterable<{ readonly namespace: string; readonly key: string; readonly row: Row }>;
}

/** Every table, as of `next`. */
export type View = { readonly [K in Kind as TableName<K>]: Table<States[K]> } & {
  /** The position that the next fact will get: this view includes every fact below it. */
  readonly next: Position;
  /** Number of snapshots whose parent is this one; `name` is `<snapshotter>/<name>`. */
  snapshotChildren(namespace: string, name: string): number;
  /** Number of namespaces that link this digest. */
  blobLinks(digest: string): number;
};
