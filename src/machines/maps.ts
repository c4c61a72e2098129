/**
 * Maps of strings to values as payloads and rows hold them (labels, annotations, extensions): put in order, and compared. Keys are
 * whatever a client sent, `__proto__` and `constructor` among them, so only own properties are ever looked at or made.
 */
import type { AnyValue, Labels } from "../events/catalogue.ts";

type Entries<Value> = Readonly<Record<string, Value>>;

/** The same map with its keys in order, so that equal maps are equal bytes in a row. */
export function ordered<Value>(map: Entries<Value>): Entries<Value> {
  return Object.fromEntries(
    Object.keys(map)
      .sort()
      .map((key) => [key, map[key] as Value]),
  );
}

export const sameLabels = (a: Labels, b: Labels): boolean => sameMap(a, b, Object.is);

export const sameAnys = (a: Entries<AnyValue>, b: Entries<AnyValue>): boolean => sameMap(a, b, sameAny);

/** Type and bytes are equal. */
export function sameAny(a: AnyValue | null, b: AnyValue | null): boolean {
  if (a === null || b === null) return a === b;
  return (
    a.typeUrl === b.typeUrl &&
    a.value.length === b.value.length &&
    a.value.every((byte, index) => byte === b.value[index])
  );
}

function sameMap<Value>(a: Entries<Value>, b: Entries<Value>, same: (a: Value, b: Value) => boolean): boolean {
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && same(a[key] as Value, b[key] as Value))
  );
}
