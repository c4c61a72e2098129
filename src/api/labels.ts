/**
 * containerd's rules for labels and annotations: how long one may be, and that an empty value is no value.
 * Sources: labels/validate.go, metadata/boltutil.
 */
import { ShiplogError } from "../error.ts";
import type { Labels } from "../events/catalogue.ts";

/** Bytes of a label's key and value together at most. */
export const LABEL_BYTES_MAX = 4096;

/** Bytes of a key that an error message quotes at most. */
const QUOTED_KEY_BYTES_MAX = 10;

/**
 * Checks the length of each label.
 * @throws ShiplogError InvalidArgument; `what` leads the message, for example `containers.Labels`.
 */
export function validateLabels(labels: Labels, what: string): void {
  for (const [key, value] of Object.entries(labels)) {
    if (Buffer.byteLength(key) + Buffer.byteLength(value) <= LABEL_BYTES_MAX) continue;
    const start = Buffer.from(key).subarray(0, QUOTED_KEY_BYTES_MAX).toString();
    const message = `${what}: label key and value greater than maximum size (${LABEL_BYTES_MAX} bytes), key: ${start}`;
    throw new ShiplogError("InvalidArgument", message, { reason: "LabelTooLong" });
  }
}

/**
 * The labels that are stored: those with a value.
 * @throws ShiplogError InvalidArgument for a value without a name, on which containerd's database fails
 */
export function storedLabels(labels: Labels): Labels {
  if (Object.hasOwn(labels, "") && labels[""] !== "") {
    throw new ShiplogError("InvalidArgument", "a label has no name", { reason: "LabelWithoutName" });
  }
  for (const key in labels) {
    if (labels[key] === "") return Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ""));
  }
  return labels;
}
