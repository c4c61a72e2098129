/** A queue of work of which one runs at a time, in the order in which it came. Owns the order and the bound; that each work ends is up to its own deadline. */
import { ShimError } from "../error.ts";
import { StatusCode } from "../ttrpc/mod.ts";

/** Works that may wait; as many as the daemon lets wait for one task. */
export const waitingMax = 64;

export class Line {
  #last: Promise<unknown> = Promise.resolve();
  #length = 0;

  /** Runs `work` when all before it is done, well or not; comes to what it comes to. @throws ShimError ResourceExhausted when too many wait */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#length > waitingMax)
      throw new ShimError(StatusCode.ResourceExhausted, `${waitingMax} operations wait already`);
    this.#length++;
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    try {
      return await result;
    } finally {
      this.#length--;
    }
  }

  /** Resolves when all that is in line now is done. Never rejects. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
