/**
 * Replies and events as plain text that can be compared: what cannot be equal on two daemons (times, process ids, random names, each one's
 * own directories) is replaced by what it is. Everything else stays, and a time that should not be one shows.
 */
import { payloadByTypeUrl } from "../../src/wire/mod.ts";

export interface Own {
  /** The daemon's directory, which all of its paths are below. */
  readonly daemon: string;
  /** The scenario's directory. */
  readonly scenario: string;
}

/** Seconds from 1970 to Go's zero time. */
const GO_ZERO_SECONDS = -62_135_596_800n;

/** A time this near is the daemon's own; any other is a value that a call sent. */
const RECENT_SECONDS = 3_600n;

type Timestamp = { readonly seconds: bigint; readonly nanos: number };

/** Of one reply or event as a whole: its times are named by their order, so that equal ones stay equal. */
export function plain(value: unknown, own: Own): unknown {
  const times = [...new Set(recentTimes(value))].sort((left, right) => (left < right ? -1 : 1));
  return simple(value, own, times);
}

export function plainText(text: string, own: Own): string {
  return (
    text
      .replaceAll(own.scenario, "SCENARIO")
      .replaceAll(own.daemon, "DIRECTORY")
      .replace(/\/snapshots\/\w+/g, "/snapshots/ID")
      .replace(/\/ingest\/[0-9a-f]{64}/g, "/ingest/ID")
      .replace(/\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?\+0000 UTC|Z)?/g, "TIME")
      .replace(/ for \d+(\.\d+)?[mµn]?s \(since [^)]*\)/g, " for A WHILE")
      // A lease's id that the daemon made up, and its server id.
      .replace(/^\d{1,9}-[\w-]{4}$/, "MADE-UP")
      .replace(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "UUID")
  );
}

function simple(value: unknown, own: Own, times: readonly bigint[]): unknown {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "string") return plainText(value, own);
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array) return plainText(printable(value), own);
  if (Array.isArray(value)) return value.map((entry) => simple(entry, own, times));
  if (isTimestamp(value)) return timeName(value, times);
  const record = value as Record<string, unknown>;
  // Each reading is another.
  if (typeof record.typeUrl === "string" && record.typeUrl.endsWith(".Metrics"))
    return { typeUrl: record.typeUrl, value: "METRICS" };
  const known = decoded(record);
  if (known !== undefined) return { typeUrl: record.typeUrl, value: simple(known, own, times) };
  const entries = Object.keys(record)
    .sort()
    .map((key) => [key, isPid(key) && record[key] ? "PID" : simple(record[key], own, times)]);
  return coarse(Object.fromEntries(entries));
}

/** An ingest's times are those of its files, which the kernel moves on in steps: whether two are equal is chance. */
function coarse(record: Record<string, unknown>): Record<string, unknown> {
  if (typeof record.startedAt !== "string" || !record.startedAt.startsWith("TIME")) return record;
  return { ...record, startedAt: "A TIME", updatedAt: "A TIME" };
}

const isPid = (key: string) => key === "pid" || key === "pidns";

/** The payload of an Any whose type is one of containerd's events. */
function decoded({ typeUrl, value }: Record<string, unknown>): unknown {
  if (typeof typeUrl !== "string" || !Object.hasOwn(payloadByTypeUrl, typeUrl) || !(value instanceof Uint8Array))
    return undefined;
  try {
    return payloadByTypeUrl[typeUrl as keyof typeof payloadByTypeUrl].decode(value);
  } catch {
    return undefined;
  }
}

function isTimestamp(value: object): value is Timestamp {
  const keys = Object.keys(value);
  return (
    keys.length === 2 &&
    typeof (value as Timestamp).seconds === "bigint" &&
    typeof (value as Timestamp).nanos === "number"
  );
}

const nanoseconds = ({ seconds, nanos }: Timestamp): bigint => seconds * 1_000_000_000n + BigInt(nanos);

function isRecent({ seconds }: Timestamp): boolean {
  const now = BigInt(Math.floor(Date.now() / 1000));
  return seconds > now - RECENT_SECONDS && seconds < now + RECENT_SECONDS;
}

function* recentTimes(value: unknown): Generator<bigint> {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
  if (isTimestamp(value)) {
    if (isRecent(value)) yield nanoseconds(value);
    return;
  }
  for (const entry of Object.values(decoded(value as Record<string, unknown>) ?? value)) yield* recentTimes(entry);
}

function timeName(time: Timestamp, times: readonly bigint[]): string {
  if (time.seconds === GO_ZERO_SECONDS && time.nanos === 0) return "ZERO TIME";
  return isRecent(time) ? `TIME ${times.indexOf(nanoseconds(time)) + 1}` : `${time.seconds}.${time.nanos}`;
}

/** Text as it is, other bytes in hexadecimal. */
function printable(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString();
  return text.includes("\ufffd") || text.includes("\0") ? Buffer.from(bytes).toString("hex") : text;
}
