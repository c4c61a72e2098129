/**
 * Times as the wire has them and as the rest of the daemon has them: nanoseconds since 1970, as a bigint.
 *
 * Owns the rule for a time that is not set. Go's clients and daemons send their zero time, 1 January of the year 1, where
 * others leave the field out; both are `undefined` here, and `undefined` goes out as Go's zero time, because that is what
 * clients compare with (the exit time of a task that runs, for one).
 */
import type { Timestamp } from "./gen/google/protobuf/timestamp.ts";

const nanosPerSecond = 1_000_000_000n;

/** Seconds from 1970 to Go's zero time, 0001-01-01T00:00:00Z. It is also the earliest that protobuf allows. */
const goZeroSeconds = -62_135_596_800n;

/** 9999-12-31T23:59:59Z, the last second that protobuf allows. */
const secondsMax = 253_402_300_799n;

/** A wire time from nanoseconds since 1970; Go's zero time from `undefined`. Throws RangeError outside the years 1 to 9999. */
export function timestampFromUnixNano(unixNano: bigint | undefined): Timestamp {
  if (unixNano === undefined) return { seconds: goZeroSeconds, nanos: 0 };
  // BigInt division rounds towards zero, but nanos count forward from the second below, also before 1970.
  const nanos = ((unixNano % nanosPerSecond) + nanosPerSecond) % nanosPerSecond;
  const timestamp = { seconds: (unixNano - nanos) / nanosPerSecond, nanos: Number(nanos) };
  assertInRange(timestamp);
  return timestamp;
}

/**
 * Nanoseconds since 1970 from a wire time; `undefined` when it is absent or is Go's zero time. Throws RangeError when the
 * seconds are outside the years 1 to 9999 or the nanos outside a second, as protobuf asks.
 */
export function unixNanoFromTimestamp(timestamp: Timestamp | undefined): bigint | undefined {
  if (timestamp === undefined) return undefined;
  assertInRange(timestamp);
  if (timestamp.seconds === goZeroSeconds && timestamp.nanos === 0) return undefined;
  return timestamp.seconds * nanosPerSecond + BigInt(timestamp.nanos);
}

function assertInRange({ seconds, nanos }: Timestamp): void {
  if (seconds < goZeroSeconds || seconds > secondsMax || nanos < 0 || nanos > 999_999_999) {
    throw new RangeError(`time of ${seconds} s and ${nanos} ns is outside the years 1 to 9999`);
  }
}
