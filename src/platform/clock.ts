/**
 * The wall clock. Owns the only reading of the time that facts carry. Nothing may order facts by it: it can be stepped back, and two
 * readings can be equal.
 */
import koffi from "koffi";
import { libc } from "./kernel.ts";

/** Where the time of facts comes from. */
export interface Clock {
  /** Unix time in nanoseconds. */
  now(): bigint;
}

const CLOCK_REALTIME = 0;
const clockGettime = libc.func("int clock_gettime(int clock, void *time)");
const time = new BigInt64Array(2);

/**
 * Reads CLOCK_REALTIME itself. `performance.timeOrigin + performance.now()` would give sub-millisecond digits too, but it does not
 * follow when the wall clock is stepped, and `Date.now()` stops at milliseconds.
 */
export const systemClock: Clock = {
  now() {
    if (clockGettime(CLOCK_REALTIME, time) !== 0) throw new Error(`clock_gettime failed: errno ${koffi.errno()}`);
    return time[0]! * 1_000_000_000n + time[1]!;
  },
};
