/**
 * Who keeps whom: what a row refers to, by its fields and by its labels. Owns the labels' meaning. No media type is parsed: content refers
 * to content by labels alone.
 *
 * Source: containerd metadata/gc.go (v1.6.20). References to images, and back references, are the 2.x line's (core/metadata/gc.go).
 */
import type { Labels } from "../events/catalogue.ts";
import type { View } from "../ledger.ts";
import type { LeaseResource } from "../machines/mod.ts";

/** The kinds that hold something or can be collected. */
export type NodeKind = "container" | "lease" | "image" | "snapshot" | "ingest" | "blob";

/** `whole`: all that it refers to is kept too. `flat`, as a flat lease holds: only itself, a snapshot's parents, an image's target. */
export type Reach = "whole" | "flat";

export interface Reference {
  readonly kind: NodeKind;
  readonly key: string;
  readonly reach: Reach;
}

const rootLabel = "containerd.io/gc.root";
const flatLabel = "containerd.io/gc.flat";
const forwards = "containerd.io/gc.ref.";
const backwards = "containerd.io/gc.bref.";

/** Kept whatever refers to it, whatever the label's value. */
export const isRoot = (labels: Labels): boolean => Object.hasOwn(labels, rootLabel);

/** What the entity keeps when it is kept with this reach. What it names need not exist; one that is not there keeps nothing. */
export function referencesOf(
  view: View,
  namespace: string,
  kind: NodeKind,
  key: string,
  reach: Reach,
): readonly Reference[] {
  switch (kind) {
    case "lease": {
      const row = view.leases.get(namespace, key);
      const isFlat = row !== undefined && Object.hasOwn(row.labels, flatLabel);
      return (row?.resources ?? []).flatMap((resource) => referenceOf(resource, isFlat ? "flat" : "whole") ?? []);
    }
    case "container": {
      const row = view.containers.get(namespace, key);
      if (row === undefined) return [];
      const { snapshotter, snapshotKey, labels } = row;
      const labelled = labelledReferences(labels, forwards);
      return snapshotter === "" ? labelled : [snapshot(snapshotter, snapshotKey, "whole"), ...labelled];
    }
    case "image": {
      const row = view.images.get(namespace, key);
      if (row === undefined) return [];
      const target: Reference = { kind: "blob", key: row.target.digest, reach };
      return reach === "flat" ? [target] : [target, ...labelledReferences(row.labels, forwards)];
    }
    case "ingest": {
      const expected = view.ingests.get(namespace, key)?.expected ?? "";
      return expected === "" ? [] : [{ kind: "blob", key: expected, reach: "whole" }];
    }
    case "blob": {
      const row = view.blobs.get(namespace, key);
      return row === undefined || reach === "flat" ? [] : labelledReferences(row.labels, forwards);
    }
    case "snapshot": {
      const row = view.snapshots.get(namespace, key);
      if (row === undefined) return [];
      const parents = row.parent === "" ? [] : [snapshot(key.slice(0, key.indexOf("/")), row.parent, reach)];
      return reach === "flat" ? parents : [...parents, ...labelledReferences(row.labels, forwards)];
    }
    default:
      return kind satisfies never;
  }
}

/** Those that keep an entity with these labels: here it is the kept one that says so. */
export const backReferencesOf = (labels: Labels): readonly Reference[] => labelledReferences(labels, backwards);

/** What a lease's resource is; undefined for a type of a later version. */
export function referenceOf({ type, id }: LeaseResource, reach: Reach): Reference | undefined {
  if (type === "content") return { kind: "blob", key: id, reach };
  if (type === "images") return { kind: "image", key: id, reach };
  // Flatness is about content and snapshots (metadata/gc.go, scanRoots): what an upload expects is kept.
  if (type === "ingests") return { kind: "ingest", key: id, reach: "whole" };
  return type.startsWith("snapshots/") ? snapshot(type.slice("snapshots/".length), id, reach) : undefined;
}

const snapshot = (snapshotter: string, key: string, reach: Reach): Reference => ({
  kind: "snapshot",
  key: `${snapshotter}/${key}`,
  reach,
});

const words: ReadonlyMap<string, NodeKind> = new Map([
  ["content", "blob"],
  ["image", "image"],
  ["container", "container"],
]);

/** `<prefix>content`, `image` or `container`, each with an optional `.` or `/` and more behind it, and `<prefix>snapshot.<snapshotter>`. */
function labelledReferences(labels: Labels, prefix: typeof forwards | typeof backwards): Reference[] {
  const references: Reference[] = [];
  for (const [label, value] of Object.entries(labels)) {
    if (!label.startsWith(prefix)) continue;
    const rest = label.slice(prefix.length);
    if (rest.startsWith("snapshot.")) {
      references.push(snapshot(rest.slice("snapshot.".length).split("/", 1)[0]!, value, "whole"));
      continue;
    }
    const kind = words.get(rest.split(/[./]/, 1)[0]!);
    // Nothing has to keep a container, for none is collected.
    if (kind === undefined || (kind === "container" && prefix === forwards)) continue;
    references.push({ kind, key: value, reach: "whole" });
  }
  return references;
}
