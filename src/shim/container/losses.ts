/**
 * Output that is in no log: the daemon is told how much of which process, and why, until it has taken that or refused it.
 *
 * Owns the bound: of each process one loss is on its way, and what is lost meanwhile is added up into the next. That one is in memory only: of a shim
 * that is killed while the daemon is away, it goes with the shim. A loss may be told twice; both then have the same time.
 */
import { systemClock } from "../../platform/mod.ts";
import type { StdioLoss } from "../io/mod.ts";
import type { Journal, JournalState, OutputLostRecord } from "../journal/mod.ts";
import type { Publisher } from "../publisher/mod.ts";
import { writeAcknowledged } from "./acknowledgement.ts";
import { lossEvent } from "./events.ts";

export interface LossesParts {
  readonly containerId: string;
  readonly journal: Journal;
  readonly publisher: Publisher;
  readonly onTrouble: (text: string, error: unknown) => void;
}

export class Losses {
  readonly #parts: LossesParts;
  /** Processes of which a loss is on its way, and what was lost since. */
  readonly #untold = new Map<string, StdioLoss | undefined>();

  constructor(parts: LossesParts) {
    this.#parts = parts;
  }

  /** Output of the process, "" for init, was lost. */
  lost(execId: string, loss: StdioLoss): void {
    const { containerId, onTrouble } = this.#parts;
    onTrouble(`output of ${containerId} ${execId} was lost`, loss);
    if (this.#untold.has(execId)) this.#untold.set(execId, sum(this.#untold.get(execId), loss));
    else this.#tellNew(execId, loss);
  }

  /** Goes on from a journal: what the daemon has not taken is told again. */
  resume({ unacknowledged }: JournalState): void {
    for (const { number, record } of unacknowledged) {
      if (record.type === "outputLost") this.#tell(record, Promise.resolve(number));
    }
  }

  #tellNew(execId: string, loss: StdioLoss): void {
    const { journal, onTrouble } = this.#parts;
    const record: OutputLostRecord = { type: "outputLost", at: String(systemClock.now()), execId, ...loss };
    // Not synced: a power cut takes more of a log than this tells of.
    const written = journal.append(record).catch((error: unknown) => {
      onTrouble("write down a loss of output", error);
      return undefined;
    });
    this.#tell(record, written);
  }

  #tell(record: OutputLostRecord, written: Promise<number | undefined>): void {
    const { containerId, journal, publisher, onTrouble } = this.#parts;
    const { execId } = record;
    this.#untold.set(execId, undefined);
    const settled = () => {
      void written.then((number) => writeAcknowledged(journal, number, onTrouble));
      const next = this.#untold.get(execId);
      this.#untold.delete(execId);
      if (next !== undefined) this.#tellNew(execId, next);
    };
    // A daemon that knows no such event may refuse it, and means it.
    publisher.publish(lossEvent(containerId, { ...record, at: BigInt(record.at) }), settled, settled);
  }
}

function sum(before: StdioLoss | undefined, loss: StdioLoss): StdioLoss {
  if (before === undefined) return loss;
  const reasons = new Set(`${before.reason}; ${loss.reason}`.split("; "));
  return { bytes: before.bytes + loss.bytes, lines: before.lines + loss.lines, reason: [...reasons].join("; ") };
}
