/** What a projection is: a pure fold of the log into rows. No clock, no IO. */
import type { Fact, Position } from "../events/fact.ts";

/** What became of one row through one fact; `row` is null when the entity ended. */
export interface RowChange {
  readonly table: string;
  readonly namespace: string;
  readonly key: string;
  /** Version of the stream's newest fact. */
  readonly version: number;
  readonly position: Position;
  readonly row: unknown;
}

/** A row as it is now, with the stream version and position of the fact that last changed it. */
export interface Head<Row = unknown> {
  readonly version: number;
  readonly position: Position;
  readonly row: Row;
}

export interface Projection {
  readonly name: string;
  /** Raised when the meaning of a row changes: the next start builds the new rows beside the old and swaps. */
  readonly version: number;
  readonly tables: readonly string[];
  /** The row that the fact leads to, given the row before; undefined when the fact touches no table of this projection. */
  apply(before: (table: string, namespace: string, key: string) => unknown, fact: Fact): RowChange | undefined;
}
