/**
 * How rows are named in RocksDB. Everything lives in one column family, for a write batch spans only one; key spaces are told apart by
 * their first byte. Parts are separated by NUL and a position is eight big-endian bytes, so byte order is (table, namespace, key,
 * position) order.
 */
import type { Position } from "../events/fact.ts";

/** The row of a living entity as it is now. */
export const HEAD = "H";
/** The stream version at which an entity ended. */
export const ENDED = "E";
/** Each version of each row. */
export const VERSION = "V";
export const CHECKPOINT = Buffer.from("C");

export interface RowName {
  readonly table: string;
  readonly namespace: string;
  readonly key: string;
}

export const rowKey = (space: string, name: RowName): Buffer =>
  Buffer.from(`${space}${name.table}\0${name.namespace}\0${name.key}`);

export function versionKey(name: RowName, position: Position): Buffer {
  const text = `${VERSION}${name.table}\0${name.namespace}\0${name.key}\0`;
  const length = Buffer.byteLength(text);
  const bytes = Buffer.allocUnsafe(length + 8);
  bytes.write(text, 0);
  bytes.writeBigUInt64BE(BigInt(position), length);
  return bytes;
}

export function parseRowKey(bytes: Buffer): RowName {
  const first = bytes.indexOf(0);
  const second = bytes.indexOf(0, first + 1);
  return {
    table: bytes.toString("utf8", 1, first),
    namespace: bytes.toString("utf8", first + 1, second),
    key: bytes.toString("utf8", second + 1),
  };
}

export function parseVersionKey(bytes: Buffer): RowName & { readonly position: Position } {
  const name = parseRowKey(bytes.subarray(0, bytes.length - 9));
  return { ...name, position: Number(bytes.readBigUInt64BE(bytes.length - 8)) };
}

/** The range that holds every key of a space. */
export const spaceRange = (space: string) => ({
  gte: Buffer.from(space),
  lt: Buffer.from(String.fromCharCode(space.charCodeAt(0) + 1)),
});

/** The range that holds every version of one row (and of rows whose key continues this one with NUL: compare the key). */
export const versionsRange = (name: RowName) => ({
  gte: versionKey(name, 0),
  lte: versionKey(name, Number.MAX_SAFE_INTEGER),
});
