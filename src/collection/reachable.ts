/**
 * What nothing reaches, and why: every entity that can be collected and is not marked, with the reason in words. Pure over the tables; it
 * removes nothing.
 */
import type { Garbage } from "../events/catalogue.ts";
import type { View } from "../ledger.ts";
import { expiryOf, shownTime } from "./expiry.ts";
import { Marking } from "./marking.ts";
import { referenceOf, referencesOf } from "./references.ts";

export interface Unreachable extends Garbage {
  readonly namespace: string;
}

type Entry = Omit<Unreachable, "reason">;

/** The order in which kinds are named and go. */
const collected = ["lease", "image", "ingest", "snapshot", "blob"] as const;

/** All that is unreachable at a time (unix nanoseconds), in one go: children come before their parents. */
export function unreachable(view: View, now: bigint): readonly Unreachable[] {
  const marking = new Marking(view, now);
  for (const _ of marking.run());
  const work = unmarked(view, marking);
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

/**
 * All that a marking which has run to its end has not marked, in slices. The tables may change at each yield: whoever removes something looks
 * again.
 */
export function* unmarked(view: View, marking: Marking): Generator<void, readonly Unreachable[], void> {
  /** By name, for a row that is removed and made again while this goes on comes up twice. */
  const entries = new Map<string, Entry>();
  const tables = {
    lease: view.leases,
    image: view.images,
    ingest: view.ingests,
    snapshot: view.snapshots,
    blob: view.blobs,
  };
  for (const kind of collected) {
    for (const { namespace, key } of tables[kind].all()) {
      const entry = { namespace, kind, key };
      if (!marking.isMarked(namespace, kind, key)) entries.set(nameOf(entry), entry);
      yield;
    }
  }
  const reasons = yield* reasonsOf(view, entries);
  const listed: Unreachable[] = [];
  for (const entry of childrenFirst(view, entries)) {
    yield;
    if (entry !== undefined) listed.push({ ...entry, reason: reasons.get(nameOf(entry)) ?? ownReason(view, entry) });
  }
  return listed;
}

/** By name, for what an unreachable entity refers to; what an expired lease says of it comes first. */
function* reasonsOf(
  view: View,
  entries: ReadonlyMap<string, Entry>,
): Generator<void, ReadonlyMap<string, string>, void> {
  const reasons = new Map<string, string>();
  // Leases are the first of the entries.
  const note = (name: string, reason: string) => void (reasons.has(name) || reasons.set(name, reason));
  for (const { namespace, kind, key } of entries.values()) {
    yield;
    if (kind === "lease") {
      const row = view.leases.get(namespace, key);
      const expiry = row && expiryOf(row.labels);
      if (row === undefined || expiry === undefined) continue;
      const reason = `held only by lease ${key}, which expired at ${shownTime(expiry)}`;
      for (const resource of row.resources) {
        const held = referenceOf(resource, "whole");
        if (held !== undefined) note(nameOf({ namespace, ...held }), reason);
      }
    } else {
      const reason = `only ${kind} ${key} refers to it, which is unreachable too`;
      for (const referred of referencesOf(view, namespace, kind, key, "whole"))
        note(nameOf({ namespace, ...referred }), reason);
    }
  }
  return reasons;
}

function ownReason(view: View, { namespace, kind, key }: Entry): string {
  if (kind === "lease" || kind === "image") {
    const row = kind === "lease" ? view.leases.get(namespace, key) : view.images.get(namespace, key);
    const expiry = row && expiryOf(row.labels);
    if (expiry !== undefined) return `expired at ${shownTime(expiry)}`;
  }
  if (kind === "ingest") {
    const row = view.ingests.get(namespace, key);
    if (row?.leased) return "no lease holds it any more";
    if (row !== undefined) return `begun at ${shownTime(row.startedAt)}, more than 24 hours ago, and no lease holds it`;
  }
  return "no lease, image, container or label refers to it";
}

/** The same entries with each snapshot behind its children, and undefined now and then so that others may have a turn. */
function* childrenFirst(view: View, entries: ReadonlyMap<string, Entry>): Generator<Entry | undefined, void, void> {
  /** By the child's name: looked up once, for the row may go while this goes on. */
  const parents = new Map<string, string>();
  const children = new Map<string, number>();
  for (const [name, { namespace, kind, key }] of entries) {
    yield undefined;
    const parent = kind === "snapshot" ? view.snapshots.get(namespace, key)?.parent : undefined;
    if (!parent) continue;
    const parentName = nameOf({ namespace, kind, key: `${key.slice(0, key.indexOf("/"))}/${parent}` });
    parents.set(name, parentName);
    children.set(parentName, (children.get(parentName) ?? 0) + 1);
  }
  for (const [first, entry] of entries) {
    if (entry.kind !== "snapshot") {
      yield entry;
      continue;
    }
    // From each leaf up, as far as this was the last child; a parent that has others waits for the last of them.
    for (let name = children.has(first) ? undefined : first; name !== undefined; name = parents.get(name)) {
      const left = name === first ? 0 : children.get(name)! - 1;
      children.set(name, left);
      const next = entries.get(name);
      if (left > 0 || next === undefined) break;
      yield next;
    }
  }
}

/** Unambiguous: neither a namespace nor a kind holds NUL. */
const nameOf = ({
  namespace,
  kind,
  key,
}: {
  readonly namespace: string;
  readonly kind: string;
  readonly key: string;
}): string => `${namespace}\0${kind}\0${key}`;
