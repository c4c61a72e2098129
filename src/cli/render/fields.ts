/**
 * A payload or a row as it came over the wire: MessagePack of a shape that this program may be too old to know. Owns reading it
 * without trusting it: a field that is missing or of another type is its type's empty value.
 */
import { Unpackr } from "msgpackr";

export type Value = null | boolean | number | bigint | string | Uint8Array | readonly Value[] | { readonly [key: string]: Value };

const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: "bigint" });

/** @throws when the bytes are no MessagePack. */
export const decode = (bytes: Uint8Array): Value => unpackr.unpack(bytes);

export class Fields {
  readonly #value: Value | undefined;

  constructor(value: Value | undefined) {
    this.#value = value;
  }

  #at(name: string): Value | undefined {
    const value = this.#value;
    if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Uint8Array) return undefined;
    return (value as { readonly [key: string]: Value })[name];
  }

  names(): string[] {
    const value = this.#value;
    return typeof value === "object" && value !== null && !(value instanceof Uint8Array) ? Object.keys(value) : [];
  }

  text(name: string): string {
    const value = this.#at(name);
    return typeof value === "string" ? value : "";
  }

  number(name: string): number {
    const value = this.#at(name);
    return typeof value === "number" || typeof value === "bigint" ? Number(value) : 0;
  }

  flag(name: string): boolean {
    return this.#at(name) === true;
  }

  list(name: string): readonly Value[] {
    const value = this.#at(name);
    return Array.isArray(value) ? value : [];
  }

  /** Of bytes; 0 of anything else. */
  byteLength(name: string): number {
    const value = this.#at(name);
    return value instanceof Uint8Array ? value.length : 0;
  }

  under(name: string): Fields {
    return new Fields(this.#at(name));
  }
}
