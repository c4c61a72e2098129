/**
 * The projector brings the rows on disk after the heads: it takes each change as the heads move, and writes those whose facts are
 * durable, in log order, rows and checkpoint in one batch. It is never waited for by a decision, only when it lags too far.
 */
import type { Position } from "../events/fact.ts";
import type { RowChange } from "./definition.ts";
import type { RowStore } from "./row-store.ts";

/** Changes that may wait for their batch before decisions wait for the projector. */
const PENDING_CHANGES_MAX = 65_536;
/** Changes in one batch. */
const BATCH_CHANGES_MAX = 2_048;

export interface ProjectorOptions {
  readonly store: RowStore;
  readonly logId: string;
  /** Called after each batch with the first position that is not on disk yet. */
  readonly onFlushed: (flushed: Position) => void;
  /** A failed write: the rows can no longer be trusted to follow. */
  readonly onFatal: (error: Error) => void;
}

export class Projector {
  readonly #options: ProjectorOptions;
  #store: RowStore;
  #pending: RowChange[] = [];
  #flushed: Position;
  #durable: Position;
  #writing: Promise<void> | undefined;
  #paused = false;
  #waiters: { readonly until: () => boolean; readonly resolve: () => void }[] = [];

  constructor(options: ProjectorOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#flushed = options.store.checkpoint?.next ?? 0;
    this.#durable = this.#flushed;
  }

  get store(): RowStore {
    return this.#store;
  }

  /** The first position whose rows are not on disk yet. */
  get flushed(): Position {
    return this.#flushed;
  }

  /** Takes a change; it is written once its position is durable. */
  take(change: RowChange): void {
    this.#pending.push(change);
  }

  /** Everything below `durable` is on disk in the log. */
  advance(durable: Position): void {
    this.#durable = Math.max(this.#durable, durable);
    this.#write();
  }

  /** Undefined, or when decisions must wait: until enough changes are written. */
  pressure(): Promise<void> | undefined {
    if (this.#pending.length < PENDING_CHANGES_MAX) return undefined;
    return this.#wait(() => this.#pending.length < PENDING_CHANGES_MAX);
  }

  /** Resolves once the rows on disk include every fact below `position`, which must be durable. */
  reached(position: Position): Promise<void> {
    return this.#flushed >= position ? Promise.resolve() : this.#wait(() => this.#flushed >= position);
  }

  /**
   * Stops writing, hands the store over with the position it has reached, and goes on with the fresh store that `replace` answers with,
   * which must have reached the same position. The old one is the caller's to close.
   */
  async swap<T extends { readonly fresh: RowStore }>(
    replace: (old: RowStore, reached: Position) => Promise<T>,
  ): Promise<T> {
    this.#paused = true;
    try {
      await this.#writing;
      const swapped = await replace(this.#store, this.#flushed);
      this.#store = swapped.fresh;
      return swapped;
    } finally {
      this.#paused = false;
      this.#write();
    }
  }

  /** Writes what is durable, then closes the store. */
  async close(): Promise<void> {
    while (this.#flushed < this.#durable && this.#writing !== undefined) await this.#writing;
    this.#paused = true;
    await this.#writing;
    await this.#store.close();
  }

  #wait(until: () => boolean): Promise<void> {
    return new Promise((resolve) => this.#waiters.push({ until, resolve }));
  }

  #write(): void {
    if (this.#writing !== undefined || this.#paused || this.#flushed >= this.#durable) return;
    this.#writing = this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
    this.#writing.catch(this.#options.onFatal);
  }

  async #writeAll(): Promise<void> {
    while (this.#flushed < this.#durable && !this.#paused) {
      const durable = this.#durable;
      let count = 0;
      while (count < BATCH_CHANGES_MAX && (this.#pending[count]?.position ?? durable) < durable) count += 1;
      const changes = this.#pending.slice(0, count);
      const more = (this.#pending[count]?.position ?? durable) < durable;
      const next = more ? this.#pending[count]!.position : durable;
      await this.#store.write(changes, { logId: this.#options.logId, next });
      this.#pending.splice(0, count);
      this.#flushed = next;
      this.#options.onFlushed(next);
      this.#wake();
    }
  }

  #wake(): void {
    if (this.#waiters.length === 0) return;
    const waiting = this.#waiters.filter(({ until }) => !until());
    const ready = this.#waiters.filter((waiter) => !waiting.includes(waiter));
    this.#waiters = waiting;
    for (const { resolve } of ready) resolve();
  }
}
