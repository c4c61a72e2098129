/**
 * Who may be in a file call of a log. A disk that hangs keeps each call on it waiting in a thread of libuv's pool, which has four; so one log
 * at a time writes to a device, and few devices are written to at once. Logs on a hung disk wait; everything else in the process goes on.
 */

/** Half of libuv's threads: compression may have one, and one is left for the process's other files. */
const devicesBusyMax = 2;

export class DiskTurns {
  readonly #busy = new Set<number>();
  /** One entry per waiting log, first come first served. */
  readonly #waiting: { readonly device: number; readonly begin: () => void }[] = [];

  /** Runs `work` when it is the caller's turn on `device` (st_dev). */
  async take<T>(device: number, work: () => Promise<T>): Promise<T> {
    if (!this.#free(device)) await new Promise<void>((begin) => this.#waiting.push({ device, begin }));
    else this.#busy.add(device);
    try {
      return await work();
    } finally {
      this.#busy.delete(device);
      this.#next();
    }
  }

  #free(device: number): boolean {
    return this.#busy.size < devicesBusyMax && !this.#busy.has(device);
  }

  /** A turn is given, not announced, so that nobody who comes later can take it first. */
  #next(): void {
    const next = this.#waiting.find(({ device }) => this.#free(device));
    if (next === undefined) return;
    this.#waiting.splice(this.#waiting.indexOf(next), 1);
    this.#busy.add(next.device);
    next.begin();
  }
}

/** The turns of this process. */
export const diskTurns = new DiskTurns();
