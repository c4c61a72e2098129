/**
 * Exits: learned from the kernel, written down, and only then told.
 *
 * Owns the order: no exit before its start was told, init's after those of its execs, an out-of-memory kill before the exit that it caused. What is
 * written is told until the daemon has taken it, by this shim or the next.
 */
import { type ProcessExit, systemClock, withTimeout } from "../../platform/mod.ts";
import type { ExitedRecord, Journal, JournalState, OomedRecord } from "../journal/mod.ts";
import type { Publisher } from "../publisher/mod.ts";
import { writeAcknowledged } from "./acknowledgement.ts";
import { exitEvent, oomEvent } from "./events.ts";
import type { ContainerProcess } from "./process.ts";

/**
 * How long init's exit waits for those of execs. The kernel or the runtime has killed them with init; one that cannot die (it waits for a disk that
 * does not answer) must not keep init's exit a secret.
 */
const execExitsMsMax = 10_000;

const SIGKILL_STATUS = 128 + 9;

export interface ExitsParts {
  readonly containerId: string;
  readonly journal: Journal;
  readonly publisher: Publisher;
  readonly onTrouble: (text: string, error: unknown) => void;
}

export class Exits {
  readonly #parts: ExitsParts;
  /** Kills that are being written down: their telling comes before that of exits. */
  #oomTold: Promise<void> = Promise.resolve();
  #kills = 0;

  constructor(parts: ExitsParts) {
    this.#parts = parts;
  }

  /** How often the kernel has killed for want of memory so far, as far as this shim knows. */
  get kills(): number {
    return this.#kills;
  }

  /** The kernel has killed a process of the container. */
  oomed(): void {
    this.#kills++;
    const record: OomedRecord = { type: "oomed", at: String(systemClock.now()) };
    this.#oomTold = this.#oomTold.then(() => this.#write(record));
  }

  /** Goes on from a journal: what the daemon has not taken is told again. */
  resume({ unacknowledged }: JournalState, kills: number): void {
    this.#kills = kills;
    for (const { number, record } of unacknowledged) if (record.type !== "outputLost") this.#tell(number, record);
  }

  /**
   * Writes down and tells that the process has ended; resolves when those who wait for it know. `others` have exits that come before.
   * `at`: when its end was noticed, unix nanoseconds. `killsBefore`: how often the kernel had killed when it started.
   */
  async ended(
    process: ContainerProcess,
    { exitStatus, known }: ProcessExit,
    {
      at: exitedAt,
      others,
      killsBefore,
    }: { readonly at: bigint; readonly others: readonly ContainerProcess[]; readonly killsBefore: number },
  ): Promise<void> {
    const oomKilled = exitStatus === SIGKILL_STATUS && this.#kills > killsBefore;
    await process.startTold;
    await withTimeout(Promise.all(others.map(toldOf)), execExitsMsMax);
    await this.#oomTold;
    const { execId, pid } = process;
    await this.#write({ type: "exited", execId, pid, exitStatus, exitedAt: String(exitedAt), known, oomKilled });
    process.end({ exitStatus, exitedAt });
  }

  async #write(record: ExitedRecord | OomedRecord): Promise<void> {
    const { journal, onTrouble } = this.#parts;
    try {
      this.#tell(await journal.append(record, { durable: true }), record);
    } catch (error) {
      // A full or broken disk: the exit is told all the same, only a death of this shim would now lose it.
      onTrouble("write down an exit", error);
      this.#tell(undefined, record);
    }
  }

  #tell(number: number | undefined, record: ExitedRecord | OomedRecord): void {
    const { containerId, journal, publisher, onTrouble } = this.#parts;
    const event =
      record.type === "oomed"
        ? oomEvent(containerId, BigInt(record.at))
        : exitEvent(containerId, { ...record, exitedAt: BigInt(record.exitedAt) });
    publisher.publish(event, () => writeAcknowledged(journal, number, onTrouble));
  }
}

/** Resolves when the process has no exit that is still to be told: also of one that is being started and then does not come to run. */
async function toldOf(process: ContainerProcess): Promise<void> {
  await process.startTold;
  if (process.status === "running") await process.exit;
}
