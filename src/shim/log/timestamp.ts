/**
 * The time of a record: RFC 3339 in UTC with all nine digits, so that it has one length. It is that of the chunk in which the record's last
 * byte was read.
 */
import { type Clock, systemClock } from "../../platform/mod.ts";

/** Length of a timestamp in bytes. */
export const timestampLength = "2006-01-02T15:04:05.000000000Z".length;

const nanosecondsPerSecond = 1_000_000_000n;
let cachedSecond = -1n;
let cachedText = "";

export function timestamp(clock: Clock = systemClock): string {
  const now = clock.now();
  const second = now / nanosecondsPerSecond;
  if (second !== cachedSecond) {
    cachedSecond = second;
    cachedText = new Date(Number(second) * 1000).toISOString().slice(0, "2006-01-02T15:04:05".length);
  }
  return `${cachedText}.${String(now % nanosecondsPerSecond).padStart(9, "0")}Z`;
}
