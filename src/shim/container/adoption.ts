/**
 * What a dead shim's journal says of a container, as processes: which are to be watched again, which have ended, which are only known of.
 *
 * Owns the reading. It does nothing to any process and tells nobody.
 */
import { readFileSync } from "node:fs";
import { errorCode } from "../../platform/mod.ts";
import { type Journal, type JournalState, journalState } from "../journal/mod.ts";
import type { Maker } from "./making.ts";
import { ContainerProcess } from "./process.ts";

export interface AdoptedExec {
  readonly process: ContainerProcess;
  readonly spec: string;
  /** Undefined when the journal does not know it to have been started. */
  readonly startTime: number | undefined;
}

export class Adoption {
  readonly state: JournalState;
  /** How often the journal tells of kills for want of memory. */
  readonly kills: number;
  readonly execs: readonly AdoptedExec[];
  readonly #maker: Maker;
  readonly #initPid: number;

  /** @throws Error when the container was never created */
  static of(journal: Journal, maker: Maker): Adoption {
    return new Adoption(journal, maker);
  }

  private constructor(journal: Journal, maker: Maker) {
    this.state = journalState(journal.entries);
    this.kills = journal.entries.filter(({ record }) => record.type === "oomed").length;
    this.#maker = maker;
    const { created, execs } = this.state;
    if (created === undefined) throw new Error("adopt a container: it was never created");
    this.#initPid = created.pid;
    this.execs = [...execs.values()].map(({ added, started, exit }) => {
      const process = new ContainerProcess(added.execId, added.io);
      if (started !== undefined) {
        process.pid = started.pid;
        process.status = "running";
      }
      if (exit !== undefined) process.end({ exitStatus: exit.exitStatus, exitedAt: BigInt(exit.exitedAt) });
      return { process, spec: added.spec, startTime: started?.startTime };
    });
  }

  /** Gives init its state; the start time of the process to watch, or undefined when it has ended or is yet to be restored. */
  takeInit(init: ContainerProcess): { readonly startTime: number } | undefined {
    const { created, started, exit } = this.state;
    init.pid = this.#initPid;
    if (started) init.status = "running";
    if (exit !== undefined) init.end({ exitStatus: exit.exitStatus, exitedAt: BigInt(exit.exitedAt) });
    return init.ended !== undefined || init.pid === 0 ? undefined : { startTime: created!.startTime };
  }

  /** Execs that run as far as the journal knows. */
  get running(): readonly { readonly process: ContainerProcess; readonly startTime: number }[] {
    return this.execs.flatMap(({ process, startTime }) =>
      startTime === undefined || process.ended ? [] : [{ process, startTime }],
    );
  }

  /** Execs that the runtime has made and nobody has written down; they have their pids now. */
  leftStarting(): readonly ContainerProcess[] {
    return this.execs.flatMap(({ process, startTime }) => {
      if (startTime !== undefined) return [];
      const pid = this.#pidWritten(process.execId);
      if (pid === undefined) return [];
      process.pid = pid;
      return [process];
    });
  }

  /** The pid that the runtime wrote, of a process that lives in the container. */
  #pidWritten(execId: string): number | undefined {
    try {
      const pid = Number(readFileSync(this.#maker.pidFile(execId), "utf8"));
      const groups = (of: number) => readFileSync(`/proc/${of}/cgroup`, "utf8");
      return groups(pid) === groups(this.#initPid) ? pid : undefined;
    } catch (thrown) {
      if (errorCode(thrown) === "ENOENT" || errorCode(thrown) === "ESRCH") return undefined;
      throw thrown;
    }
  }
}
