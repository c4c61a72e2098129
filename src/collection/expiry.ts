/** When leases, images and ingests may go by time alone. Times are unix nanoseconds. */
import type { Labels } from "../events/catalogue.ts";
import type { IngestState } from "../machines/mod.ts";

const expireLabel = "containerd.io/gc.expire";

/** How long an ingest is kept that was begun without a lease (containerd: metadata/content.go). */
const ingestNs = 24n * 3_600_000_000_000n;

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,](\d+))?(?:Z|[+-]\d\d:\d\d)$/;

/** The time that the label names; undefined without one, and for what is no RFC 3339 time, which containerd ignores as well. */
export function expiryOf(labels: Labels): bigint | undefined {
  if (!Object.hasOwn(labels, expireLabel)) return undefined;
  const text = labels[expireLabel]!;
  const matched = rfc3339.exec(text);
  if (matched === null) return undefined;
  const ms = Date.parse(text.replace(/[.,]\d+/, ""));
  // `Date` takes the 30th of February for a day in March, and 24:00 for the next day's midnight; Go takes neither for a time.
  const day = new Date(`${text.slice(0, 10)}T00:00:00Z`);
  if (Number.isNaN(ms) || Number.isNaN(day.getTime()) || day.getUTCDate() !== Number(text.slice(8, 10)))
    return undefined;
  if (text.slice(11, 13) === "24") return undefined;
  return BigInt(ms) * 1_000_000n + BigInt((matched[1] ?? "").slice(0, 9).padEnd(9, "0"));
}

/** Undefined for one that was begun under a lease: it lives as long as a lease holds it. */
export function ingestExpiry({ leased, startedAt }: Pick<IngestState, "leased" | "startedAt">): bigint | undefined {
  return leased ? undefined : startedAt + ingestNs;
}

/** As people read it. */
export const shownTime = (time: bigint): string => new Date(Number(time / 1_000_000n)).toISOString();
