/**
 * The ends of a container's processes: noticed, cleaned up after, and handed on to be told.
 *
 * Owns the watches' outcome, whether init is gone, and whether the container is frozen, since its end thaws it.
 */
import { type ProcessExit, systemClock, watchExit, withTimeout } from "../../platform/mod.ts";
import type { Runc } from "../runc/mod.ts";
import type { Account } from "./account.ts";
import type { Execs } from "./execs.ts";
import type { Exits } from "./exits.ts";
import type { ContainerProcess } from "./process.ts";
import { hasPrivatePids } from "./spec.ts";

/** How long exits that are being written down may hold up the end of this shim. */
const lastExitsMsMax = 2_000;

const SIGKILL = 9;

export interface EndingsParts {
  readonly bundle: string;
  readonly runc: Runc;
  readonly account: Account;
  readonly exits: Exits;
  readonly init: ContainerProcess;
  readonly execs: Execs;
  readonly onTrouble: (text: string, error: unknown) => void;
}

export class Endings {
  /** Whether the container's processes are stopped where they are. */
  frozen: "no" | "pausing" | "paused" = "no";
  readonly #parts: EndingsParts;
  readonly #telling = new Set<Promise<void>>();
  #initGone = false;

  constructor(parts: EndingsParts) {
    this.#parts = parts;
  }

  /** Init has ended, which may not be told yet. */
  get initGone(): boolean {
    return this.#initGone;
  }

  /** Sees to it that the end of the process is told. A start time names a process that this shim has not made (see watchExit). */
  watch(process: ContainerProcess, startTime?: number): void {
    const { init, exits, onTrouble } = this.#parts;
    const killsBefore = process === init ? 0 : exits.kills;
    process.watch = watchExit(process.pid, startTime);
    void process.watch.exit.then((exit) => {
      const telling = this.#ended(process, exit, killsBefore)
        .catch((error: unknown) => onTrouble("tell of an exit", error))
        .finally(() => this.#telling.delete(telling));
      this.#telling.add(telling);
    });
  }

  /** Resolves when all that was noticed is written down, or its time is up. */
  async settled(): Promise<void> {
    await withTimeout(Promise.all(this.#telling), lastExitsMsMax);
  }

  async #ended(process: ContainerProcess, exit: ProcessExit, killsBefore: number): Promise<void> {
    const { account, exits, init, execs } = this.#parts;
    const at = systemClock.now();
    account.look();
    if (process === init) await this.#initEnded();
    await exits.ended(process, exit, { at, others: process === init ? execs.processes : [], killsBefore });
  }

  async #initEnded(): Promise<void> {
    const { account, bundle, runc, onTrouble } = this.#parts;
    this.#initGone = true;
    account.leave();
    // Without a pid namespace of its own nothing ends what init has left behind.
    if (!hasPrivatePids(bundle)) {
      await runc.kill(SIGKILL, true).catch((error: unknown) => onTrouble("kill what init has left behind", error));
    }
    if (this.frozen === "no") return;
    await runc.resume().catch((error: Error) => {
      // A runtime may have thawed it itself, to be able to kill it.
      if (!error.message.includes("not paused")) onTrouble("resume what has ended while it was paused", error);
    });
    this.frozen = "no";
  }
}
