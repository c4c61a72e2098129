/** What repeated measurements come to: the middle, and between which values the middle half of them lies, which is the machine's noise. */
import { median } from "./median.ts";

export interface Spread {
  readonly median: number;
  /** The first and third quartile. */
  readonly low: number;
  readonly high: number;
}

/** Of at least one value. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => {
    const place = (sorted.length - 1) * share;
    const [below, above] = [sorted[Math.floor(place)]!, sorted[Math.ceil(place)]!];
    return below + (above - below) * (place - Math.floor(place));
  };
  return { median: median(values), low: at(0.25), high: at(0.75) };
}

/** As `312 ms (305 to 330)`. */
export function spreadText(values: readonly number[], unit: string, digits = 0): string {
  const { median: middle, low, high } = spreadOf(values);
  return `${middle.toFixed(digits)} ${unit} (${low.toFixed(digits)} to ${high.toFixed(digits)})`;
}

/** One figure of each pair by the other: the n-th of both were measured one after the other. */
export function ratios(ours: readonly number[], theirs: readonly number[]): number[] {
  return ours.map((value, index) => value / theirs[index]!);
}
