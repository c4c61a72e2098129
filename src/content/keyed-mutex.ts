/**
 * One task at a time per key, in the order of asking. Owns no policy: who waits how long is up to the tasks, so a task may never wait
 * for its own key.
 */
export class KeyedMutex {
  readonly #last = new Map<string, Promise<void>>();

  /** Whether a task of this key is under way. */
  isHeld(key: string): boolean {
    return this.#last.has(key);
  }

  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last.set(key, promise);
    await before;
    try {
      return await task();
    } finally {
      if (this.#last.get(key) === promise) this.#last.delete(key);
      resolve();
    }
  }
}
