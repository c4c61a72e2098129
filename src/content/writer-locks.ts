/**
 * Who is writing which ingest: one writer per ref, in memory, because a writer lives no longer than the daemon. Owns the waiting: a
 * client that closes one stream and opens the next at once must not lose against the closing that is still under way.
 */
import { ErrorClass, ShiplogError } from "../error.ts";
import type { Clock } from "../platform/mod.ts";

interface Held {
  since: bigint;
  readonly waiting: Array<() => void>;
}

export class WriterLocks {
  readonly #held = new Map<string, Held>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  isHeld(key: string): boolean {
    return this.#held.has(key);
  }

  /**
   * Takes the lock of `key`, waiting at most `waitMsMax`; `ref` names it in the error. The function that comes back gives it up, once.
   * @throws ShiplogError Unavailable when somebody else goes on holding it, or the signal's reason when that is aborted first
   */
  async acquire(key: string, ref: string, waitMsMax: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    const held = this.#held.get(key);
    if (held !== undefined) await this.#wait(held, ref, waitMsMax, signal);
    else this.#held.set(key, { since: this.#clock.now(), waiting: [] });
    return () => this.#release(key);
  }

  async #wait(held: Held, ref: string, waitMsMax: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // Leaves the queue in the same step as it gives up: a lock handed to one that has gone would never be free again.
    const giveUp = (reason: unknown) => {
      const place = held.waiting.indexOf(resolve);
      if (place === -1) return;
      held.waiting.splice(place, 1);
      reject(reason);
    };
    const timer = setTimeout(() => giveUp(this.#locked(held, ref)), waitMsMax);
    const aborted = () => giveUp(signal.reason);
    signal.addEventListener("abort", aborted, { once: true });
    held.waiting.push(resolve);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
    }
  }

  #locked(held: Held, ref: string): ShiplogError {
    const ms = (this.#clock.now() - held.since) / 1_000_000n;
    const since = new Date(Number(held.since / 1_000_000n)).toISOString();
    return new ShiplogError(ErrorClass.Unavailable, `ref ${ref} locked for ${ms}ms (since ${since})`, {
      reason: "RefLocked",
    });
  }

  /** The lock goes straight to whoever waited longest, so that nobody can slip in between. */
  #release(key: string): void {
    const held = this.#held.get(key);
    const next = held?.waiting.shift();
    if (held === undefined || next === undefined) {
      this.#held.delete(key);
      return;
    }
    held.since = this.#clock.now();
    next();
  }
}
