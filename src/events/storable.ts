/**
 * What a fact may hold, checked before it is written, because the encoder would let more pass than can be read back: it has private
 * encodings for dates and sets, writes lone surrogates as bytes that are no UTF-8, and renames a key called `__proto__`.
 */
import { FactUnstorable } from "./errors.ts";

/** Deeper than any specification a client sends, and shallow enough to end on a value that contains itself. */
export const depthMax = 100;

const int64Min = -(2n ** 63n);
const uint64Max = 2n ** 64n - 1n;

/** Throws FactUnstorable unless `value` is a `Data`. `where` names it in the error. */
export function assertStorable(value: unknown, where: string, depth = 0): void {
  switch (typeof value) {
    case "string":
      if (!value.isWellFormed()) throw new FactUnstorable(where, "a string with a lone surrogate");
      return;
    case "number":
    case "boolean":
    case "undefined":
      return;
    case "bigint":
      if (value < int64Min || value > uint64Max) throw new FactUnstorable(where, "an integer of more than 64 bits");
      return;
    case "object":
      if (value === null || value instanceof Uint8Array) return;
      if (depth === depthMax) throw new FactUnstorable(where, `nested more than ${depthMax} deep`);
      if (Array.isArray(value)) assertArray(value, where, depth + 1);
      else assertMap(value, where, depth + 1);
      return;
    default:
      throw new FactUnstorable(where, `a ${typeof value}`);
  }
}

function assertArray(array: readonly unknown[], where: string, depth: number): void {
  for (let index = 0; index < array.length; index++) {
    if (array[index] === undefined) throw new FactUnstorable(`${where}[${index}]`, "undefined");
    assertStorable(array[index], `${where}[${index}]`, depth);
  }
}

function assertMap(map: object, where: string, depth: number): void {
  const prototype: unknown = Object.getPrototypeOf(map);
  if (prototype !== Object.prototype && prototype !== null)
    throw new FactUnstorable(where, `a ${map.constructor.name}`);
  for (const key of Object.keys(map)) {
    if (key === "__proto__" || !key.isWellFormed()) throw new FactUnstorable(where, `the key ${JSON.stringify(key)}`);
    assertStorable((map as Record<string, unknown>)[key], `${where}.${key}`, depth);
  }
}
