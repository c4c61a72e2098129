/**
 * Extended header records (POSIX.1-2001 pax) and what they override in a header. Keys are latin1 strings, one character a byte; values are
 * bytes, since an extended attribute may hold anything.
 */
import { safeNumber, TarFieldError } from "./tar-header.ts";

export type PaxRecords = ReadonlyMap<string, Buffer>;

const SPACE = 0x20;
const NEWLINE = 0x0a;
const EQUALS = 0x3d;

/** Reads the payload of an extended header: `<length> <key>=<value>\n`, the length counting all of the record. @throws TarFieldError */
export function parsePaxRecords(payload: Buffer): PaxRecords {
  const records = new Map<string, Buffer>();
  let at = 0;
  while (at < payload.length) {
    const space = payload.indexOf(SPACE, at);
    const digits = space < 0 ? "" : payload.toString("latin1", at, space);
    const end = at + Number(digits);
    if (!/^[0-9]{1,9}$/.test(digits) || end > payload.length || end <= space + 1 || payload[end - 1] !== NEWLINE)
      throw new TarFieldError("extended header record has a wrong length");
    const equals = payload.indexOf(EQUALS, space + 1);
    if (equals <= space + 1 || equals >= end) throw new TarFieldError("extended header record has no key");
    const key = payload.toString("latin1", space + 1, equals);
    const value = payload.subarray(equals + 1, end - 1);
    if (key.includes("\0") || (textKeys.has(key) && value.includes(0)))
      throw new TarFieldError(`extended header record '${key}' holds a NUL`);
    records.set(key, Buffer.from(value));
    at = end;
  }
  return records;
}

/** What is a C string to the kernel in the end. */
const textKeys: ReadonlySet<string> = new Set(["path", "linkpath", "uname", "gname"]);

/** The text of a record; undefined where it is absent or empty, which both leave the header's own field in force. */
export function paxText(records: PaxRecords, key: string): string | undefined {
  const value = records.get(key);
  return value === undefined || value.length === 0 ? undefined : value.toString("latin1");
}

/** A decimal number of a record. @throws TarFieldError */
export function paxNumber(records: PaxRecords, key: string): number | undefined {
  const text = paxText(records, key);
  if (text === undefined) return undefined;
  if (!/^[+-]?[0-9]{1,30}$/.test(text)) throw new TarFieldError(`extended header record '${key}' is not a number`);
  return safeNumber(BigInt(text), key);
}

const paxTime = /^(-?)([0-9]{1,18})(?:\.([0-9]*))?$/;

/** A time of a record, `<seconds>[.<fraction>]`, as nanoseconds since 1970; finer digits are cut off. @throws TarFieldError */
export function paxTimeNs(records: PaxRecords, key: string): bigint | undefined {
  const text = paxText(records, key);
  if (text === undefined) return undefined;
  const [, sign, seconds = "", fraction = ""] = paxTime.exec(text) ?? [];
  if (sign === undefined) throw new TarFieldError(`extended header record '${key}' is not a time`);
  const nanoseconds = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, "0"));
  return sign === "-" ? -nanoseconds : nanoseconds;
}

const xattrPrefix = "SCHILY.xattr.";

/** The extended attributes among the records, by name, in the archive's order. */
export function paxXattrs(records: PaxRecords): [name: string, value: Buffer][] {
  return [...records]
    .filter(([key]) => key.startsWith(xattrPrefix))
    .map(([key, value]) => [key.slice(xattrPrefix.length), value]);
}
