/**
 * One line of operations per task or process: those of the same key run one after another, those of different keys at once.
 *
 * Owns the order only. A hung operation holds up its own key and nothing else; that it ends is up to its own deadlines.
 */
import { ErrorClass, ShiplogError } from "../error.ts";

/** Operations that may wait for one key. */
export const waitingPerKeyMax = 64;

interface Line {
  last: Promise<unknown>;
  length: number;
}

export class TaskQueue {
  readonly #lines = new Map<string, Line>();

  /** Whether an operation of this key is under way or waits. */
  isBusy(key: string): boolean {
    return this.#lines.has(key);
  }

  /** Runs `operation` when those before it have ended. @throws ShiplogError ResourceExhausted when too many wait. */
  async run<T>(key: string, operation: () => Promise<T>): Promise<T> {
    const line = this.#lines.get(key) ?? { last: Promise.resolve(), length: 0 };
    if (line.length > waitingPerKeyMax) {
      throw new ShiplogError(ErrorClass.ResourceExhausted, `${key}: ${waitingPerKeyMax} operations wait already`, {
        reason: "TaskBusy",
      });
    }
    this.#lines.set(key, line);
    line.length += 1;
    const result = line.last.then(operation, operation);
    line.last = result.catch(() => {});
    try {
      return await result;
    } finally {
      line.length -= 1;
      if (line.length === 0) this.#lines.delete(key);
    }
  }
}
