/** Labels as commands set them: which there are, and what an update makes of those that are there. */
import fc from "fast-check";
import type { Labels } from "../events/catalogue.ts";
import { digest, key, labelKeys } from "./names.ts";

/** A label that says nothing, one that roots, and the references that a collector follows. */
const label = fc.oneof(
  fc.constantFrom(["p", "1"] as const, ["p", "2"] as const),
  fc.constant(["containerd.io/gc.root", "yes"] as const),
  digest.map((to) => ["containerd.io/gc.ref.content.0", to] as const),
  key.map((to) => ["containerd.io/gc.ref.snapshot.native", to] as const),
);

export const labels: fc.Arbitrary<Labels> = fc.array(label, { maxLength: 2 }).map((all) => Object.fromEntries(all));

/** A lease's: it may be flat, over, or last for long. */
export const leaseLabels: fc.Arbitrary<Labels> = fc
  .array(
    fc.constantFrom(
      ["p", "1"] as const,
      ["containerd.io/gc.flat", "yes"] as const,
      ["containerd.io/gc.expire", "2020-01-01T00:00:00Z"] as const,
      ["containerd.io/gc.expire", "2120-01-01T00:00:00Z"] as const,
    ),
    { maxLength: 2 },
  )
  .map((all) => Object.fromEntries(all));

/** The one label that an update is about, or none where it is about all of them. */
export const only = fc.constantFrom("", ...labelKeys);

/** What an update leads to that names one label or replaces them all. */
export function updated(current: Labels, requested: Labels, one: string): Labels {
  if (one === "") return requested;
  const { [one]: _, ...others } = current;
  const value = requested[one];
  return value === undefined ? others : { ...others, [one]: value };
}

/** The same as the API's field mask. */
export const maskOf = (one: string): string[] | undefined => (one === "" ? undefined : [`labels.${one}`]);
