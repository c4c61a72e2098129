/**
 * Lines in aligned columns, written as they come. A column is as wide as the widest cell so far and never gets narrower, so that a
 * stream without an end can be printed too. The last column is not padded.
 */
import { stripVTControlCharacters } from "node:util";

const gap = "  ";

/** Widest that a cell makes its column: one odd value must not push all that follows out of sight. */
const columnWidthMax = 64;

export class Columns {
  readonly #widths: number[];

  /** `widths` are the least that each column gets, in characters. */
  constructor(widths: readonly number[]) {
    this.#widths = [...widths];
  }

  /** One line without its newline; styled cells are measured without their styling. */
  line(cells: readonly string[]): string {
    const padded = cells.map((cell, column) => {
      const length = stripVTControlCharacters(cell).length;
      const width = Math.max(this.#widths[column] ?? 0, Math.min(length, columnWidthMax));
      this.#widths[column] = width;
      return column === cells.length - 1 ? cell : cell + " ".repeat(Math.max(0, width - length));
    });
    return padded.join(gap).trimEnd();
  }

  /** Lines whose columns fit every one of them. */
  static table(rows: readonly (readonly string[])[]): string[] {
    const columns = new Columns([]);
    for (const row of rows) columns.line(row);
    return rows.map((row) => columns.line(row));
  }
}
