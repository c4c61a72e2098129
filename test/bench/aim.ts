/** What was aimed at beside what was measured. An aim that is not met is told, and fails nothing: a machine's speed is no property of the code. */

export interface Aim {
  readonly what: string;
  readonly measured: number;
  /** `x` is a ratio: shiplog's figure by containerd's. */
  readonly unit: "x" | "MB/s";
  readonly bound: { readonly atMost: number } | { readonly atLeast: number };
}

/** A line for each aim, below a heading. */
export function aimLines(aims: readonly Aim[]): string[] {
  const rows = aims.map(({ what, measured, unit, bound }) => {
    const show = (value: number) => (unit === "x" ? `${value.toFixed(2)} x` : `${value.toFixed(0)} ${unit}`);
    const [aim, met] =
      "atMost" in bound
        ? [`<= ${show(bound.atMost)}`, measured <= bound.atMost]
        : [`>= ${show(bound.atLeast)}`, measured >= bound.atLeast];
    return [what, aim, show(measured), met ? "yes" : "NO"];
  });
  const table = [["", "aim", "measured", "met"], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column]!.length)));
  return table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd(),
  );
}
