/**
 * What one append of a collection holds: which of the entities found unreachable end in it, and how. Pure, and to be asked in the tick of the
 * append: it looks again at everything that changed since the marks were made.
 */
import type { Garbage } from "../events/catalogue.ts";
import type { Step, View } from "../ledger.ts";
import type { Marking } from "./marking.ts";
import type { Unreachable } from "./reachable.ts";

/** Entities that end in one append. */
const batchEntitiesMax = 128;
/** Characters of keys and reasons in one append, as long as that is more than one entity: a record then needs no attachment. */
const batchCharactersMax = 32_768;

/** An entity that ends, how, and for a snapshot the id of its directory. */
export interface Ended {
  readonly entry: Unreachable;
  readonly step: Step;
  readonly directory: string;
}

/** How the entity ends, or undefined when it has ended by itself, or is a snapshot on which others still stand. */
function endOf(view: View, entry: Unreachable, removedChildren: Map<string, number>): Ended | undefined {
  const { namespace, kind, key, reason } = entry;
  const end = (step: Step, directory = "") => ({ entry, step, directory });
  switch (kind) {
    case "lease":
      return view.leases.get(namespace, key) && end({ kind, key, command: { type: "ExpireLease", id: key } });
    case "image":
      return view.images.get(namespace, key) && end({ kind, key, command: { type: "DeleteImage", name: key } });
    case "ingest":
      return view.ingests.get(namespace, key) && end({ kind, key, command: { type: "AbortIngest", ref: key, reason } });
    case "blob":
      return (
        view.blobs.get(namespace, key) &&
        end({ kind, key, command: { type: "DeleteBlob", digest: key, collected: true } })
      );
    case "snapshot": {
      const row = view.snapshots.get(namespace, key);
      // One of which a picture is being made ends at a later collection.
      if (
        row === undefined ||
        row.status === "taking" ||
        view.snapshotChildren(namespace, key) > (removedChildren.get(key) ?? 0)
      )
        return undefined;
      const snapshotter = snapshotterOf(key);
      if (row.parent !== "") {
        const parent = `${snapshotter}/${row.parent}`;
        removedChildren.set(parent, (removedChildren.get(parent) ?? 0) + 1);
      }
      const command = {
        type: "RemoveSnapshot",
        key: key.slice(snapshotter.length + 1),
        children: 0,
        collected: true,
      } as const;
      return end({ kind, key, command }, row.id);
    }
    default:
      return kind satisfies never;
  }
}

/**
 * The steps that end those entries of a namespace that are unreachable still: first the fact that names them, then their own, which it causes.
 * `isBusy` says of an entry that it has to wait; then `deferred` is true.
 */
export function planRemoval(
  view: View,
  namespace: string,
  entries: readonly Unreachable[],
  marking: Marking,
  isBusy: (entry: Unreachable) => boolean,
): { readonly steps: readonly Step[]; readonly ended: readonly Ended[]; readonly deferred: boolean } {
  marking.settleNow();
  const ended: Ended[] = [];
  let deferred = false;
  const removedChildren = new Map<string, number>();
  for (const entry of view.namespaces.get(namespace, namespace) === undefined ? [] : entries) {
    if (marking.isMarked(namespace, entry.kind, entry.key)) continue;
    if (isBusy(entry)) {
      deferred = true;
      continue;
    }
    const end = endOf(view, entry, removedChildren);
    if (end !== undefined) ended.push(end);
  }
  if (ended.length === 0) return { steps: [], ended, deferred };
  const removed = ended.map(({ entry: { kind, key, reason } }): Garbage => ({ kind, key, reason }));
  // The namespace exists, so this is the append's first fact.
  const cause = view.next;
  const record: Step = { kind: "collection", key: namespace, command: { type: "RecordCollection", removed } };
  return { steps: [record, ...ended.map(({ step }) => ({ ...step, cause }))], ended, deferred };
}

/** Runs of entries of one namespace, each small enough for one append. */
export function* batches(
  found: readonly Unreachable[],
): Iterable<{ readonly namespace: string; readonly entries: readonly Unreachable[] }> {
  for (const [namespace, all] of Map.groupBy(found, (entry) => entry.namespace)) {
    let entries: Unreachable[] = [];
    let characters = 0;
    for (const entry of all) {
      const more = entry.key.length + entry.reason.length;
      if (entries.length === batchEntitiesMax || (entries.length > 0 && characters + more > batchCharactersMax)) {
        yield { namespace, entries };
        entries = [];
        characters = 0;
      }
      entries.push(entry);
      characters += more;
    }
    yield { namespace, entries };
  }
}

/** The first part of a snapshot's key. */
export const snapshotterOf = (key: string): string => key.slice(0, key.indexOf("/"));
