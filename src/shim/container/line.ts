/** A queue of work of which one runs at a time, in the order in which it came. Owns no bound: each work has a deadline of its own. */
export class Line {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `work` when all before it is done, well or not; comes to what it comes to. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }

  /** Resolves when all that is in line now is done. Never rejects. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
