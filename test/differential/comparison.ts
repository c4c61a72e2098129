/** Outcomes of one call on both daemons, made equal by the differences that are meant. Tells which of them it took. */
import type { Difference, ReferenceVersion } from "./differences.ts";
import type { Outcome } from "./recording.ts";

export interface Comparison {
  /** Equal where nothing but the named differences stands between them. */
  readonly reference: Outcome;
  readonly ours: Outcome;
  readonly taken: readonly Difference[];
}

export function compare(
  call: string,
  reference: Outcome,
  ours: Outcome,
  differences: readonly Difference[],
  version: ReferenceVersion,
): Comparison {
  let sides = { reference, ours };
  const taken: Difference[] = [];
  for (const difference of differences) {
    if (!difference.calls.test(call) || (difference.reference ?? version) !== version) continue;
    const aligned = align(sides, difference);
    if (distance(aligned) >= distance(sides)) continue;
    sides = aligned;
    taken.push(difference);
  }
  return { ...sides, taken };
}

const aspects = ["code", "message", "reply", "events"] as const;

type Sides = Pick<Comparison, "reference" | "ours">;

function align({ reference, ours }: Sides, difference: Difference): Sides {
  if ("align" in difference) return { reference: difference.align(reference), ours: difference.align(ours) };
  const { containerd, shiplog } = difference;
  const agrees = (outcome: Outcome, expected: typeof containerd) =>
    aspects.every((aspect) => expected[aspect]?.test(textOf(outcome, aspect)) ?? true);
  if (!agrees(reference, containerd) || !agrees(ours, shiplog)) return { reference, ours };
  const named = aspects.filter((aspect) => aspect in containerd || aspect in shiplog);
  return { reference, ours: { ...ours, ...Object.fromEntries(named.map((aspect) => [aspect, reference[aspect]])) } };
}

function textOf(outcome: Outcome, aspect: (typeof aspects)[number]): string {
  const value = outcome[aspect];
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** How much differs: aspects, then entries and characters within replies and events, so that half of a difference taken away counts. */
function distance({ reference, ours }: Sides): number {
  let sum = 0;
  for (const aspect of aspects) {
    const [left, right] = [textOf(reference, aspect), textOf(ours, aspect)];
    if (left !== right) sum += 1000 + differing(left, right);
  }
  return sum;
}

/** Characters outside of the common beginning and end, of the longer one. */
function differing(left: string, right: string): number {
  let start = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start += 1;
  let end = 0;
  while (end < left.length - start && end < right.length - start && left.at(-1 - end) === right.at(-1 - end)) end += 1;
  return Math.max(left.length, right.length) - start - end;
}
