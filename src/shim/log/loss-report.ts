/**
 * What was lost, told without a flood: losses are added up, and told at most once per interval and once at the end. It must never forget one.
 */

/** Formatted records that are not in the file. */
export interface LogLoss {
  /** Bytes of the records as they would have stood in the file. */
  readonly bytes: number;
  /** Records: lines, a split line counting once for each of its pieces. */
  readonly lines: number;
  /** Why; several reasons are joined by "; ". */
  readonly reason: string;
}

/** Why, of what a disk did not take while there was time. */
export const closedUnwritten = "the file could not be written before it was closed";

/** Milliseconds between two reports. */
const lossReportIntervalMs = 1000;

export class LossReport {
  readonly #tell: (loss: LogLoss) => void;
  #bytes = 0;
  #lines = 0;
  readonly #reasons = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(tell: (loss: LogLoss) => void) {
    this.#tell = tell;
  }

  add(reason: string, bytes: number, lines: number): void {
    this.#bytes += bytes;
    this.#lines += lines;
    this.#reasons.add(reason);
    this.#timer ??= setTimeout(() => this.flush(), lossReportIntervalMs).unref();
  }

  /** Tells what has not been told. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#reasons.size === 0) return;
    const loss = { bytes: this.#bytes, lines: this.#lines, reason: [...this.#reasons].join("; ") };
    this.#bytes = 0;
    this.#lines = 0;
    this.#reasons.clear();
    this.#tell(loss);
  }
}
