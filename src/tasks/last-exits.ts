/**
 * The exits of processes that have just been deleted, for calls that waited for them: a row that is gone cannot tell any more.
 *
 * Owns a bounded memory and no truth: the log has every exit.
 */
import type { Exit } from "../events/catalogue.ts";

/** Exits that are remembered; the oldest make room. */
export const lastExitsMax = 4_096;

export class LastExits {
  readonly #exits = new Map<string, Exit>();

  /** To be called before the deletion is recorded. */
  set(process: string, exit: Exit): void {
    this.#exits.delete(process);
    this.#exits.set(process, exit);
    if (this.#exits.size > lastExitsMax) this.#exits.delete(this.#exits.keys().next().value!);
  }

  get(process: string): Exit | undefined {
    return this.#exits.get(process);
  }
}
