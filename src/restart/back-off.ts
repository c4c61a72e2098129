/** How long to wait before the next attempt. Times of facts are the wall clock's, which may be stepped: no wait is longer than its whole span. */

export interface Timing {
  /** From a container's end to its first restart. */
  readonly firstMs: number;
  /** Each restart in a row waits twice as long as the one before, and no longer than this. */
  readonly waitMsMax: number;
  /** A container that ran for so long is taken to be well: the next restart is a first one again. */
  readonly healthyMs: number;
  /**
   * How long a client that is at work on a container is given to create and start its task: many set the labels first. It is the longest
   * that containerd's monitor, which looks every ten seconds, leaves them.
   */
  readonly clientMs: number;
}

/** The first three are dockerd's (restartmanager/restartmanager.go). */
export const defaultTiming: Timing = { firstMs: 100, waitMsMax: 60_000, healthyMs: 10_000, clientMs: 10_000 };

/** The wait after so many restarts in a row. */
export function backOffMs(restarts: number, { firstMs, waitMsMax }: Timing): number {
  return Math.min(firstMs * 2 ** restarts, waitMsMax);
}

/** What is left of a span that began at `since`, unix nanoseconds; null for none. */
export function remainingMs(since: bigint | null, spanMs: number, now: bigint): number {
  if (since === null) return 0;
  return Math.max(0, Math.min(spanMs - Number(now - since) / 1e6, spanMs));
}
