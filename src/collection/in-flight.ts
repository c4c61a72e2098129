/**
 * Directories of snapshots that are just being made or removed. Owns only that knowledge: a check must not take for left over what a call
 * under way is about to record, or has just let go.
 */
import type { Snapshotter } from "../snapshots/mod.ts";

export class InFlight {
  readonly #counts = new Map<string, number>();

  /** By snapshotter and directory id. */
  has(snapshotter: string, id: string): boolean {
    return this.#counts.has(`${snapshotter}/${id}`);
  }

  /** The same snapshotter, whose making and removing of directories is known here while it lasts. */
  watch(snapshotter: Snapshotter): Snapshotter {
    const clone = snapshotter.clone?.bind(snapshotter);
    const commit = snapshotter.commit?.bind(snapshotter);
    return {
      ...(clone && { clone: (id, source, signal) => this.#during(snapshotter, id, () => clone(id, source, signal)) }),
      name: snapshotter.name,
      root: snapshotter.root,
      ...(commit && { commit }),
      create: (id, kind, parents, labels) =>
        this.#during(snapshotter, id, () => snapshotter.create(id, kind, parents, labels)),
      remove: (id) => this.#during(snapshotter, id, () => snapshotter.remove(id)),
      mounts: (id, kind, parents) => snapshotter.mounts(id, kind, parents),
      sync: (id) => snapshotter.sync(id),
      usage: (id, kind, parents) => snapshotter.usage(id, kind, parents),
      list: () => snapshotter.list(),
      exists: (id, kind, parents) => snapshotter.exists(id, kind, parents),
    };
  }

  async #during<T>({ name }: Snapshotter, id: string, work: () => Promise<T>): Promise<T> {
    const key = `${name}/${id}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    try {
      return await work();
    } finally {
      const left = this.#counts.get(key)! - 1;
      if (left === 0) this.#counts.delete(key);
      else this.#counts.set(key, left);
    }
  }
}
