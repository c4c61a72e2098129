/** Counts that the heads keep beside the tables, so that no decision has to scan one. */
import type { SnapshotState } from "../machines/mod.ts";

class Counter {
  readonly #counts = new Map<string, number>();

  count(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  add(key: string, by: 1 | -1): void {
    const count = this.count(key) + by;
    if (count === 0) this.#counts.delete(key);
    else this.#counts.set(key, count);
  }
}

/** How many snapshots have a given one as their parent. */
export class SnapshotChildren {
  readonly #children = new Counter();

  /** `name` is `<snapshotter>/<name>`. */
  count(namespace: string, name: string): number {
    return this.#children.count(`${namespace}\0${name}`);
  }

  move(namespace: string, key: string, before: unknown, after: unknown): void {
    this.#add(namespace, key, before, -1);
    this.#add(namespace, key, after, 1);
  }

  #add(namespace: string, key: string, row: unknown, by: 1 | -1): void {
    const parent = (row as SnapshotState | null | undefined)?.parent;
    if (parent) this.#children.add(`${namespace}\0${key.slice(0, key.indexOf("/"))}/${parent}`, by);
  }
}

/** How many namespaces link a digest. */
export class BlobLinks {
  readonly #links = new Counter();

  count(digest: string): number {
    return this.#links.count(digest);
  }

  move(digest: string, before: unknown, after: unknown): void {
    if (before === undefined && after !== null) this.#links.add(digest, 1);
    else if (before !== undefined && after === null) this.#links.add(digest, -1);
  }
}
