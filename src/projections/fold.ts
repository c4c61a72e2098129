/** Folding a stretch of the log into rows on disk, from nothing: how tables are rebuilt, and how they are checked. */
import type { Fact, Position } from "../events/fact.ts";
import type { Projection, RowChange } from "./definition.ts";
import { Heads } from "./heads.ts";
import type { RowStore } from "./row-store.ts";

/** Changes in one batch. */
const BATCH_CHANGES_MAX = 4_096;

/** What a fold needs of the log: the durable facts from `from` up to but not including `to`. */
export interface FactSource {
  readonly logId: string;
  read(range: { readonly from: Position; readonly to?: Position }): AsyncIterable<readonly Fact[]>;
}

/** A fold under way: the heads that it has reached and the store that it fills. */
export class Fold {
  readonly #heads: Heads;
  readonly #source: FactSource;
  readonly #store: RowStore;

  constructor(projection: Projection, source: FactSource, store: RowStore) {
    this.#heads = new Heads(projection);
    this.#source = source;
    this.#store = store;
  }

  /** Goes on to `next`; one batch is written while the next one is folded. */
  async to(next: Position): Promise<void> {
    let changes: RowChange[] = [];
    let writing = Promise.resolve();
    for await (const facts of this.#source.read({ from: this.#heads.next, to: next })) {
      for (const fact of facts) {
        const change = this.#heads.apply(fact);
        if (change !== undefined) changes.push(change);
      }
      if (changes.length < BATCH_CHANGES_MAX) continue;
      await writing;
      writing = this.#write(changes);
      writing.catch(() => {});
      changes = [];
    }
    await writing;
    await this.#write(changes);
  }

  async #write(changes: readonly RowChange[]): Promise<void> {
    const { next } = this.#heads;
    await this.#store.write(changes, { logId: this.#source.logId, next });
    this.#heads.trim(next);
  }
}
