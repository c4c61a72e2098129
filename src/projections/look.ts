/**
 * A look at the rows as of one position: in order, by stretches, at a cost that goes with what it gives and not with what there is. What is
 * on disk is that position's or a later one's; the facts in between tell which rows have to be taken from their versions.
 */
import { ShiplogError } from "../error.ts";
import type { Fact, Position } from "../events/fact.ts";
import type { Head } from "./definition.ts";
import type { FactSource } from "./fold.ts";
import { compareRowNames, type RowName, type Stretch } from "./row-key.ts";
import type { RowStore } from "./row-store.ts";
import { parseStream } from "./stream.ts";

/** Facts that the tables may be ahead of a look: they are read for every page. */
export const LOOK_BEHIND_FACTS_MAX = 50_000;

/** Which rows: `stretches` hold all of them and maybe others; those of one table follow each other, disjoint, in the order of their keys. */
export interface Selection {
  readonly stretches: readonly Stretch[];
  matches(name: RowName): boolean;
}

export interface LivingRow extends RowName {
  readonly head: Head;
}

export interface LookFrom {
  /** The rows as they were before the fact at this position; by default, and at most, the look's own. */
  readonly asOf?: Position;
  /** Only rows that come after this one in the order. */
  readonly after?: RowName;
}

export class Look {
  readonly #store: RowStore;
  readonly #source: FactSource;
  /** The first position that the rows do not include. */
  readonly next: Position;

  /** `store` must stand still. */
  constructor(store: RowStore, source: FactSource) {
    this.#store = store;
    this.#source = source;
    this.next = store.checkpoint?.next ?? 0;
  }

  /**
   * The living rows of the selection in the order of namespace, table and key.
   * @throws ShiplogError OutOfRange when `asOf` is too long ago, or no longer in the log.
   */
  async *rows(selection: Selection, { asOf = this.next, after }: LookFrom = {}): AsyncGenerator<LivingRow, void> {
    const changed = await this.#changedSince(asOf, selection, after);
    const names = new Set(changed.map(nameOf));
    let index = 0;
    for await (const row of this.#store.scan(selection.stretches, after)) {
      if (!selection.matches(row) || names.has(nameOf(row))) continue;
      for (; index < changed.length && compareRowNames(changed[index]!, row) < 0; index += 1) {
        const before = await this.#before(changed[index]!, asOf);
        if (before !== undefined) yield before;
      }
      yield row;
    }
    for (; index < changed.length; index += 1) {
      const before = await this.#before(changed[index]!, asOf);
      if (before !== undefined) yield before;
    }
  }

  async #before(name: RowName, asOf: Position): Promise<LivingRow | undefined> {
    const head = await this.#store.rowBefore(name, asOf);
    return head === undefined ? undefined : { ...name, head };
  }

  /** The rows that facts from `asOf` on have changed, in order, each once. */
  async #changedSince(asOf: Position, { matches }: Selection, after: RowName | undefined): Promise<RowName[]> {
    if (asOf === this.next) return [];
    if (this.next - asOf > LOOK_BEHIND_FACTS_MAX) {
      const said = `list as of position ${asOf}: the log is at ${this.next} by now; begin again`;
      throw new ShiplogError("OutOfRange", said, { reason: "ListTooOld" });
    }
    const changed = new Map<string, RowName>();
    for await (const facts of this.#source.read({ from: asOf, to: this.next })) {
      for (const fact of facts) {
        const name = rowNameOf(fact);
        if (name === undefined || !matches(name)) continue;
        if (after === undefined || compareRowNames(name, after) > 0) changed.set(nameOf(name), name);
      }
    }
    return [...changed.values()].sort(compareRowNames);
  }
}

/** The row that a fact is about; undefined for a fact that no table holds. */
export function rowNameOf({ namespace, stream }: Pick<Fact, "namespace" | "stream">): RowName | undefined {
  const name = parseStream(stream);
  return name === undefined ? undefined : { table: name.kind, namespace, key: name.key };
}

const nameOf = ({ namespace, table, key }: RowName): string => `${namespace}\0${table}\0${key}`;
