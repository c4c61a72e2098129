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

/**
 * Rows of one table that lie together. Without a key: those of every namespace whose name begins with `namespace`. With one: those of
 * that namespace whose key begins with `key`, or the one whose key it is where `exact`.
 */
export interface Stretch {
  readonly table: string;
  readonly namespace: string;
  readonly key?: string;
  readonly exact?: boolean;
}

export interface KeyRange {
  readonly gte: Buffer;
  readonly lt: Buffer;
}

/** Where the heads of a stretch lie, those after `after` in the order of `compareRowNames`; undefined where none can be. */
export function headRange({ table, namespace, key, exact }: Stretch, after: RowName | undefined): KeyRange | undefined {
  const text = key === undefined ? `${HEAD}${table}\0${namespace}` : `${HEAD}${table}\0${namespace}\0${key}`;
  const first = Buffer.from(text);
  const lt = exact === true ? following(first) : Buffer.from(first);
  // No UTF-8 has the byte 0xff, so there is always a next one.
  if (exact !== true) lt[lt.length - 1]! += 1;
  const from = after === undefined ? first : firstHeadAfter(table, after);
  const gte = Buffer.compare(first, from) > 0 ? first : from;
  return Buffer.compare(gte, lt) < 0 ? { gte, lt } : undefined;
}

/** The least key that a head of this table can have after `after`. */
function firstHeadAfter(table: string, after: RowName): Buffer {
  if (table === after.table) return following(rowKey(HEAD, after));
  // A namespace is an identifier, which no character as low as U+0001 continues.
  const namespace = table < after.table ? `${after.namespace}\u0001` : `${after.namespace}\0`;
  return Buffer.from(`${HEAD}${table}\0${namespace}`);
}

/** The least key above this one. */
const following = (key: Buffer): Buffer => Buffer.concat([key, Buffer.of(0)]);

/** The order in which rows are listed: by namespace, then table, then the key's bytes. */
export function compareRowNames(a: RowName, b: RowName): number {
  if (a.namespace !== b.namespace) return a.namespace < b.namespace ? -1 : 1;
  if (a.table !== b.table) return a.table < b.table ? -1 : 1;
  return a.key === b.key ? 0 : Buffer.compare(Buffer.from(a.key), Buffer.from(b.key));
}
