/**
 * What has to be removed from one store after its record has ended: one removal at a time, in the order of asking. Owns the queue of one
 * store, so that one that hangs holds up its own removals and nothing else. A removal that fails is told and given up: the sweep at the
 * next start, or fsck, finds what it left.
 */

/** Removals that may wait in one store's queue: while it is full, what is in that store is not collected. */
export const waitingMax = 4_096;

/** How long a removal may take before it is told of. A large directory on a slow disk takes minutes, so it is never broken off. */
const slowMsDefault = 30_000;

export interface RemovalQueueOptions {
  /** Told of a removal that failed, and of one that takes long. */
  readonly onTrouble: (error: Error) => void;
  readonly slowMs?: number;
}

interface Removal {
  readonly what: string;
  readonly remove: () => Promise<void>;
}

export class RemovalQueue {
  readonly #store: string;
  readonly #onTrouble: (error: Error) => void;
  readonly #slowMs: number;
  readonly #waiting: Removal[] = [];
  /** Names of all that is waiting or under way. */
  readonly #pending = new Set<string>();
  #running: Promise<void> | undefined;
  #stopped = false;

  /** `store` names it in what is told. */
  constructor(store: string, { onTrouble, slowMs = slowMsDefault }: RemovalQueueOptions) {
    this.#store = store;
    this.#onTrouble = onTrouble;
    this.#slowMs = slowMs;
  }

  get isFull(): boolean {
    return this.#pending.size >= waitingMax;
  }

  /** Whether the removal of this is waiting or under way. */
  has(what: string): boolean {
    return this.#pending.has(what);
  }

  add(what: string, remove: () => Promise<void>): void {
    this.#waiting.push({ what, remove });
    this.#pending.add(what);
    this.#running ??= this.#run();
  }

  /** Resolves once nothing is waiting or under way. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** Begins no more removals. What is under way is its store's to end. */
  stop(): void {
    this.#stopped = true;
    this.#waiting.length = 0;
    this.#pending.clear();
  }

  async #run(): Promise<void> {
    for (let removal = this.#waiting.shift(); removal !== undefined; removal = this.#waiting.shift()) {
      const { what, remove } = removal;
      const slow = setTimeout(
        () => this.#onTrouble(new Error(`${this.#store}: the removal of ${what} takes longer than ${this.#slowMs} ms`)),
        this.#slowMs,
      );
      slow.unref();
      try {
        await remove();
      } catch (error) {
        if (!this.#stopped) this.#onTrouble(new Error(`${this.#store}: remove ${what}`, { cause: error }));
      } finally {
        clearTimeout(slow);
        this.#pending.delete(what);
      }
    }
    this.#running = undefined;
  }
}
