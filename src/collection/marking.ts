/**
 * Marking what is reachable, a little at a time, while the tables go on changing. Owns the marks; reads rows and never changes one.
 *
 * What makes this safe beside writers is that the owner tells of each change in the tick in which it happens (`changed`), and that marks
 * are only ever added. At any moment when `settle` has run to its end, and `run` before it, everything that can be reached by the rows as
 * they are in that tick is marked: roots and edges that were there are found by `run`, those that came since by `changed`. What lost its
 * last reference meanwhile may stay marked; the next collection finds it.
 *
 * Marks are by name, whether or not there is such an entity: what is named before it exists is kept when it comes.
 */
import type { Labels } from "../events/catalogue.ts";
import type { View } from "../ledger.ts";
import type { Kind } from "../machines/mod.ts";
import { expiryOf, ingestExpiry } from "./expiry.ts";
import { backReferencesOf, isRoot, type NodeKind, type Reach, type Reference, referencesOf } from "./references.ts";

/** Whether somebody has this upload open now: it is kept however old it is. */
export type IsBeingWritten = (namespace: string, ref: string) => boolean;

interface Node {
  readonly namespace: string;
  readonly kind: NodeKind;
  readonly key: string;
  readonly reach: Reach;
}

export class Marking {
  readonly #view: View;
  readonly #now: bigint;
  readonly #isBeingWritten: IsBeingWritten;
  readonly #marks = new Map<string, Reach>();
  /** By the name of the keeper: those whose own labels name it. */
  readonly #backReferences = new Map<string, Node[]>();
  readonly #work: Node[] = [];
  #nextExpiry: bigint | undefined;

  /** @param now unix nanoseconds; what expires later counts as living */
  constructor(view: View, now: bigint, isBeingWritten: IsBeingWritten = () => false) {
    this.#view = view;
    this.#now = now;
    this.#isBeingWritten = isBeingWritten;
  }

  /** Marks all that is reachable. To be run to its end; the tables may change at each yield, if `changed` is told. */
  *run(): Generator<void, void, void> {
    const { leases, images, containers, ingests, blobs, snapshots } = this.#view;
    for (const kind of ["lease", "image", "container", "ingest", "blob", "snapshot"] as const) {
      const table = {
        lease: leases,
        image: images,
        container: containers,
        ingest: ingests,
        blob: blobs,
        snapshot: snapshots,
      }[kind];
      for (const { namespace, key } of table.all()) {
        this.#visit(namespace, kind, key);
        yield;
      }
    }
    yield* this.settle();
  }

  /** Follows what is marked and not followed yet. */
  *settle(): Generator<void, void, void> {
    for (let node = this.#work.pop(); node !== undefined; node = this.#work.pop()) {
      const { namespace, kind, key, reach } = node;
      if (reach === "whole")
        for (const kept of this.#backReferences.get(nameOf(namespace, kind, key)) ?? []) this.#push(kept);
      for (const reference of referencesOf(this.#view, namespace, kind, key, reach)) this.#mark(namespace, reference);
      yield;
    }
  }

  /** As `settle`, in one go: for the tick in which something is decided. */
  settleNow(): void {
    for (const _ of this.settle());
  }

  /** To be told of each fact about an entity once the tables include it, whatever it says. */
  changed(namespace: string, kind: Kind, key: string): void {
    if (!isNodeKind(kind)) return;
    this.#visit(namespace, kind, key);
    const reach = this.#marks.get(nameOf(namespace, kind, key));
    if (reach !== undefined) this.#work.push({ namespace, kind, key, reach });
  }

  /** When the first of what counts as living by its time alone stops doing so, as far as has been looked; unix nanoseconds. */
  get nextExpiry(): bigint | undefined {
    return this.#nextExpiry;
  }

  /** An upload that was opened without a fact, since it goes on with an earlier one, counts as marked as well. */
  isMarked(namespace: string, kind: NodeKind, key: string): boolean {
    return this.#marks.has(nameOf(namespace, kind, key)) || (kind === "ingest" && this.#isBeingWritten(namespace, key));
  }

  /** Looks at one row: whether it is kept for its own sake, and who its labels say keeps it. */
  #visit(namespace: string, kind: NodeKind, key: string): void {
    const view = this.#view;
    const self: Reference = { kind, key, reach: "whole" };
    switch (kind) {
      case "container": {
        if (view.containers.get(namespace, key) !== undefined) this.#mark(namespace, self);
        return;
      }
      case "lease": {
        const row = view.leases.get(namespace, key);
        if (row !== undefined && !this.#hasPassed(expiryOf(row.labels))) this.#mark(namespace, self);
        return;
      }
      case "image": {
        const row = view.images.get(namespace, key);
        if (row === undefined) return;
        if (!this.#hasPassed(expiryOf(row.labels))) this.#mark(namespace, self);
        else this.#noteKeepers(namespace, self, row.labels);
        return;
      }
      case "ingest": {
        const row = view.ingests.get(namespace, key);
        if (row === undefined) return;
        const expiry = ingestExpiry(row);
        const isYoung = expiry !== undefined && !this.#hasPassed(expiry);
        if (isYoung || this.#isBeingWritten(namespace, key)) this.#mark(namespace, self);
        return;
      }
      case "blob":
      case "snapshot": {
        const row = kind === "blob" ? view.blobs.get(namespace, key) : view.snapshots.get(namespace, key);
        if (row === undefined) return;
        if (isRoot(row.labels)) this.#mark(namespace, self);
        this.#noteKeepers(namespace, self, row.labels);
        return;
      }
      default:
        kind satisfies never;
    }
  }

  #noteKeepers(namespace: string, { kind, key, reach }: Reference, labels: Labels): void {
    for (const keeper of backReferencesOf(labels)) {
      const name = nameOf(namespace, keeper.kind, keeper.key);
      const node = { namespace, kind, key, reach };
      const kept = this.#backReferences.get(name);
      if (kept === undefined) this.#backReferences.set(name, [node]);
      else kept.push(node);
      if (this.#marks.get(name) === "whole") this.#push(node);
    }
  }

  #mark(namespace: string, { kind, key, reach }: Reference): void {
    this.#push({ namespace, kind, key, reach });
  }

  #push(node: Node): void {
    const name = nameOf(node.namespace, node.kind, node.key);
    const before = this.#marks.get(name);
    if (before === "whole" || before === node.reach) return;
    this.#marks.set(name, node.reach);
    this.#work.push(node);
  }

  #hasPassed(expiry: bigint | undefined): boolean {
    if (expiry === undefined) return false;
    if (this.#now > expiry) return true;
    if (this.#nextExpiry === undefined || expiry < this.#nextExpiry) this.#nextExpiry = expiry;
    return false;
  }
}

/** Unambiguous: neither a namespace nor a kind holds NUL. */
const nameOf = (namespace: string, kind: NodeKind, key: string): string => `${namespace}\0${kind}\0${key}`;

const nodeKinds: ReadonlySet<string> = new Set<NodeKind>(["container", "lease", "image", "snapshot", "ingest", "blob"]);

const isNodeKind = (kind: Kind): kind is NodeKind => nodeKinds.has(kind);
