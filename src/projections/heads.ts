/**
 * The heads: every living row in memory, with the version of its stream. They move in the same tick as the decision, may run ahead of
 * what is durable, and are never written to but by the fold.
 *
 * The versions of ended streams are kept only while they are needed: until their row is on disk, and then as a bounded cache. A stream
 * that is in neither is unknown, and the ledger loads it before it decides.
 */
import type { Fact, Position } from "../events/fact.ts";
import type { Kind, States } from "../machines/mod.ts";
import type { Head, Projection, RowChange } from "./definition.ts";
import { BlobLinks, SnapshotChildren } from "./indexes.ts";
import type { RowName } from "./row-key.ts";
import { tableName } from "./stream.ts";
import type { Table, View } from "./view.ts";

/** Ended streams whose version stays in memory. */
const ENDED_VERSIONS_MAX = 65_536;

/** The version of a stream that never existed, and the position of what was read from disk. */
const NEVER = -1;

class HeadTable<Row> implements Table<Row> {
  readonly #namespaces = new Map<string, Map<string, Head<Row>>>();

  head(namespace: string, key: string): Head<Row> | undefined {
    return this.#namespaces.get(namespace)?.get(key);
  }

  get(namespace: string, key: string): Row | undefined {
    return this.head(namespace, key)?.row;
  }

  list(namespace: string): readonly { readonly key: string; readonly row: Row }[] {
    const rows = this.#namespaces.get(namespace);
    if (rows === undefined) return [];
    return [...rows].map(([key, { row }]) => ({ key, row })).sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  *all(): Iterable<{ readonly namespace: string; readonly key: string; readonly row: Row }> {
    for (const [namespace, rows] of this.#namespaces) for (const [key, { row }] of rows) yield { namespace, key, row };
  }

  *heads(): Iterable<{ readonly namespace: string; readonly key: string; readonly head: Head<Row> }> {
    for (const [namespace, rows] of this.#namespaces) for (const [key, head] of rows) yield { namespace, key, head };
  }

  set(namespace: string, key: string, head: Head<Row>): void {
    const rows = this.#namespaces.get(namespace);
    if (rows === undefined) this.#namespaces.set(namespace, new Map([[key, head]]));
    else rows.set(key, head);
  }

  delete(namespace: string, key: string): void {
    const rows = this.#namespaces.get(namespace);
    if (rows?.delete(key) && rows.size === 0) this.#namespaces.delete(namespace);
  }
}

export class Heads {
  readonly #projection: Projection;
  readonly #tables: { readonly [K in Kind]: HeadTable<States[K]> };
  readonly #ended = new Map<string, { readonly version: number; readonly position: Position }>();
  readonly #snapshotChildren = new SnapshotChildren();
  readonly #blobLinks = new BlobLinks();
  #next: Position = 0;
  readonly view: View;

  constructor(projection: Projection) {
    this.#projection = projection;
    const tables = Object.fromEntries(projection.tables.map((table) => [table, new HeadTable()]));
    this.#tables = tables as unknown as { [K in Kind]: HeadTable<States[K]> };
    const heads = this;
    this.view = {
      ...(Object.fromEntries(
        projection.tables.map((table) => [tableName(table as Kind), tables[table]]),
      ) as unknown as Omit<View, "next">),
      get next() {
        return heads.#next;
      },
      snapshotChildren: (namespace, name) => this.#snapshotChildren.count(namespace, name),
      blobLinks: (digest) => this.#blobLinks.count(digest),
    };
  }

  /** The first position that these heads do not include. */
  get next(): Position {
    return this.#next;
  }

  head(kind: Kind, namespace: string, key: string): Head | undefined {
    return this.#tables[kind].head(namespace, key);
  }

  /** The heads of a table, in no order. */
  rows(kind: Kind): Iterable<{ readonly namespace: string; readonly key: string; readonly head: Head }> {
    return this.#tables[kind].heads();
  }

  /** The head that a row's name leads to. */
  find({ table, namespace, key }: RowName): Head | undefined {
    return this.head(table as Kind, namespace, key);
  }

  state<K extends Kind>(kind: K, namespace: string, key: string): States[K] | undefined {
    return this.#tables[kind].get(namespace, key) as States[K] | undefined;
  }

  /** The version that the stream's next fact gets; undefined when it must be loaded first (`remember`). */
  nextVersion(kind: Kind, namespace: string, key: string): number | undefined {
    const head = this.#tables[kind].head(namespace, key);
    if (head !== undefined) return head.version + 1;
    const ended = this.#ended.get(endedKey(kind, namespace, key));
    return ended === undefined ? undefined : ended.version + 1;
  }

  /** Notes at which version a stream ended, as loaded from disk; undefined for one that never existed. */
  remember(kind: Kind, namespace: string, key: string, version: number | undefined): void {
    if (this.nextVersion(kind, namespace, key) !== undefined) return;
    this.#ended.set(endedKey(kind, namespace, key), { version: version ?? NEVER, position: NEVER });
  }

  /** Puts a row in place as loaded from disk. */
  load(table: string, namespace: string, key: string, head: Head): void {
    this.#move({ table, namespace, key, version: head.version, position: head.position, row: head.row });
  }

  /** Says that the loaded rows include every fact below `next`. */
  loaded(next: Position): void {
    this.#next = next;
  }

  /** Folds the next fact of the log. Returns what became of its row, or undefined for a fact that no table holds. */
  apply(fact: Fact): RowChange | undefined {
    if (fact.position !== this.#next) throw new Error(`fact ${fact.position} folded where ${this.#next} was due`);
    const change = this.#projection.apply(this.#before, fact);
    this.#next = fact.position + 1;
    if (change !== undefined) this.#move(change);
    return change;
  }

  /** Forgets the longest ended streams beyond the bound, as far as their rows are on disk, that is, below `flushed`. */
  trim(flushed: Position): void {
    for (const [name, { position }] of this.#ended) {
      if (this.#ended.size <= ENDED_VERSIONS_MAX || position >= flushed) return;
      this.#ended.delete(name);
    }
  }

  readonly #before = (table: string, namespace: string, key: string): unknown =>
    this.#tables[table as Kind].get(namespace, key);

  #move(change: RowChange): void {
    const { table, namespace, key, version, position } = change;
    const rows = this.#tables[table as Kind] as HeadTable<unknown>;
    const before = rows.get(namespace, key);
    const name = endedKey(table, namespace, key);
    if (change.row === null) {
      rows.delete(namespace, key);
      this.#ended.delete(name);
      this.#ended.set(name, { version, position });
    } else {
      rows.set(namespace, key, { version, position, row: change.row });
      this.#ended.delete(name);
    }
    if (table === "snapshot") this.#snapshotChildren.move(namespace, key, before, change.row);
    else if (table === "blob") this.#blobLinks.move(key, before, change.row);
  }
}

const endedKey = (table: string, namespace: string, key: string): string => `${table}\0${namespace}\0${key}`;
