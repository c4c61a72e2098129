/** Whether two stores hold the same rows, byte for byte, and if not, where they differ. */
import type { Projection } from "./definition.ts";
import { Fold, type FactSource } from "./fold.ts";
import { CHECKPOINT, parseRowKey, parseVersionKey, VERSION } from "./row-key.ts";
import { RowStore } from "./row-store.ts";

/** Differences that are named; more are only counted. */
const DIFFERENCES_NAMED_MAX = 100;

export interface StoreComparison {
  /** Entries that are equal in both: heads, ended streams and versions. */
  readonly equal: number;
  readonly different: number;
  /** The first differences, in words. */
  readonly differences: readonly string[];
}

export async function compareStores(found: RowStore, expected: RowStore): Promise<StoreComparison> {
  let equal = 0;
  let different = 0;
  const differences: string[] = [];
  const differ = (key: Buffer, what: string) => {
    different += 1;
    if (differences.length < DIFFERENCES_NAMED_MAX) differences.push(`${describe(key)} ${what}`);
  };
  const left = found.entries()[Symbol.asyncIterator]();
  const right = expected.entries()[Symbol.asyncIterator]();
  let a = await left.next();
  let b = await right.next();
  while (!a.done || !b.done) {
    const order = a.done ? 1 : b.done ? -1 : Buffer.compare(a.value.key, b.value.key);
    if (order < 0) differ(a.value.key, "is in the tables but not in the log");
    else if (order > 0) differ(b.value.key, "is in the log but not in the tables");
    else if (a.value.value.equals(b.value.value)) equal += 1;
    else differ(a.value.key, "is not what the log says");
    if (order <= 0) a = await left.next();
    if (order >= 0) b = await right.next();
  }
  return { equal, different, differences };
}

/** Folds the log afresh, in `scratch` (a directory that the caller removes), up to the rows' checkpoint, and compares. */
export async function checkRows(
  projection: Projection,
  source: FactSource,
  rows: RowStore,
  scratch: string,
): Promise<StoreComparison> {
  const fresh = await RowStore.open(scratch);
  try {
    await new Fold(projection, source, fresh).to(rows.checkpoint?.next ?? 0);
    return await compareStores(rows, fresh);
  } finally {
    await fresh.close();
  }
}

function describe(key: Buffer): string {
  if (key.equals(CHECKPOINT)) return "the checkpoint";
  const versioned = key.toString("latin1", 0, 1) === VERSION;
  const name = versioned ? parseVersionKey(key) : parseRowKey(key);
  const at = "position" in name ? ` as of position ${name.position}` : "";
  return `row ${name.table}/${name.key} of namespace ${name.namespace}${at}`;
}
