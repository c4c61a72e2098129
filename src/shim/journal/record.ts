/**
 * What a shim writes down of a container, and what the records come to.
 *
 * Owns the closed list of records and the fold over them; it touches no file. Times are unix nanoseconds as decimal text, since JSON's numbers
 * end before them. A record of a type that is not known here, written by a later version, is kept and means nothing.
 */

/** Where a process's standard streams go, as the client said it. */
export interface StdioUris {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

/** How the OCI runtime is called for this container. */
export interface RuntimeChoice {
  /** A path, or a name that is looked up in PATH. */
  readonly binary: string;
  /** The whole --root, with the namespace in it. */
  readonly root: string;
  readonly systemdCgroup: boolean;
}

export interface RootfsMount {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  readonly options: readonly string[];
}

/** Written before anything is mounted or the runtime is called: from here on there may be something to clear away. */
export interface CreatingRecord {
  readonly type: "creating";
  readonly at: string;
  readonly containerId: string;
  readonly runtime: RuntimeChoice;
  readonly io: StdioUris;
  readonly ioUid: number;
  readonly ioGid: number;
  readonly rootfs: readonly RootfsMount[];
  /** Path of the images that the container is restored from, or "". */
  readonly checkpoint: string;
  /** Path of the images that those build on; "" or absent when there are none. */
  readonly parentCheckpoint?: string;
  /** The request's options as they came, the value in base64; null when there were none. */
  readonly options: { readonly typeUrl: string; readonly value: string } | null;
}

/** The runtime has made the container; its init waits to be started. `startTime` in clock ticks since boot names it together with its pid. */
export interface CreatedRecord {
  readonly type: "created";
  readonly at: string;
  readonly pid: number;
  readonly startTime: number;
}

export interface StartedRecord {
  readonly type: "started";
  readonly at: string;
}

export interface ExecAddedRecord {
  readonly type: "execAdded";
  readonly at: string;
  readonly execId: string;
  readonly io: StdioUris;
  /** The OCI process, as JSON text. */
  readonly spec: string;
}

export interface ExecStartedRecord {
  readonly type: "execStarted";
  readonly at: string;
  readonly execId: string;
  readonly pid: number;
  readonly startTime: number;
}

export interface OomedRecord {
  readonly type: "oomed";
  readonly at: string;
}

export interface ExitedRecord {
  readonly type: "exited";
  /** "" for init. */
  readonly execId: string;
  readonly pid: number;
  /** 128 + n for signal n; 255 when nobody knows it. */
  readonly exitStatus: number;
  readonly exitedAt: string;
  /** False when the status could not be learnt. */
  readonly known: boolean;
  readonly oomKilled: boolean;
}

/** Output of a process is in no log; said before it is told. */
export interface OutputLostRecord {
  readonly type: "outputLost";
  readonly at: string;
  /** "" for init. */
  readonly execId: string;
  readonly bytes: number;
  readonly lines: number;
  readonly reason: string;
}

export interface ExecDeletedRecord {
  readonly type: "execDeleted";
  readonly at: string;
  readonly execId: string;
}

/** The runtime's container and its mounts are gone. */
export interface DeletedRecord {
  readonly type: "deleted";
  readonly at: string;
}

/** What the daemon has to be told of, until it has taken it. */
export type ToldRecord = ExitedRecord | OomedRecord | OutputLostRecord;

/** The daemon has taken what record number `record` tells, or wants to hear no more of it. */
export interface AcknowledgedRecord {
  readonly type: "acknowledged";
  readonly record: number;
}

export type JournalRecord =
  | CreatingRecord
  | CreatedRecord
  | StartedRecord
  | ExecAddedRecord
  | ExecStartedRecord
  | OomedRecord
  | ExitedRecord
  | OutputLostRecord
  | ExecDeletedRecord
  | DeletedRecord
  | AcknowledgedRecord;

/** A record with its number: ascending, never used twice in one journal, kept when the journal is made shorter. */
export interface JournalEntry {
  readonly number: number;
  readonly record: JournalRecord;
}

/** An exit that was written down, and whether the daemon has taken it. */
export interface JournalExit extends Omit<ExitedRecord, "type"> {
  readonly number: number;
  readonly acknowledged: boolean;
}

export interface JournalExec {
  readonly added: ExecAddedRecord;
  readonly started: ExecStartedRecord | undefined;
  readonly exit: JournalExit | undefined;
}

/** What the records come to. */
export interface JournalState {
  readonly creating: CreatingRecord | undefined;
  readonly created: CreatedRecord | undefined;
  readonly started: boolean;
  readonly exit: JournalExit | undefined;
  readonly deleted: boolean;
  /** Those that were not deleted, in the order in which they were added. */
  readonly execs: ReadonlyMap<string, JournalExec>;
  /** What the daemon has not taken, in order, also of execs that are deleted. */
  readonly unacknowledged: readonly { readonly number: number; readonly record: ToldRecord }[];
}

/** Folds the records. Total: a record that does not fit (an exit of an exec that was never added) changes only what it names. */
export function journalState(entries: readonly JournalEntry[]): JournalState {
  let creating: CreatingRecord | undefined;
  let created: CreatedRecord | undefined;
  let started = false;
  let exit: JournalExit | undefined;
  let deleted = false;
  const execs = new Map<string, JournalExec>();
  const unacknowledged = new Map<number, ToldRecord>();
  const update = (execId: string, change: Partial<JournalExec>) => {
    const exec = execs.get(execId);
    if (exec !== undefined) execs.set(execId, { ...exec, ...change });
  };
  for (const { number, record } of entries) {
    switch (record.type) {
      case "creating":
        // One that was deleted, or that nobody finished, is followed by another of the same name.
        creating = record;
        created = undefined;
        started = false;
        exit = undefined;
        deleted = false;
        execs.clear();
        break;
      case "created":
        created = record;
        break;
      case "started":
        started = true;
        break;
      case "execAdded":
        execs.set(record.execId, { added: record, started: undefined, exit: undefined });
        break;
      case "execStarted":
        update(record.execId, { started: record });
        break;
      case "oomed":
      case "outputLost":
        unacknowledged.set(number, record);
        break;
      case "exited": {
        unacknowledged.set(number, record);
        const { type: _, ...told } = record;
        const recorded = { ...told, number, acknowledged: false };
        if (record.execId === "") exit = recorded;
        else update(record.execId, { exit: recorded });
        break;
      }
      case "execDeleted":
        execs.delete(record.execId);
        break;
      case "deleted":
        deleted = true;
        break;
      case "acknowledged": {
        unacknowledged.delete(record.record);
        if (exit?.number === record.record) exit = { ...exit, acknowledged: true };
        for (const [execId, exec] of execs) {
          if (exec.exit?.number === record.record) update(execId, { exit: { ...exec.exit, acknowledged: true } });
        }
        break;
      }
      default:
        record satisfies never;
    }
  }
  const waiting = [...unacknowledged].map(([number, record]) => ({ number, record }));
  return { creating, created, started, exit, deleted, execs, unacknowledged: waiting };
}

/**
 * The entries without those that no fold needs any more: of execs that are deleted and whose exits the daemon has, of out-of-memory kills and losses
 * that it has, and of all that was before the container's last create. The fold of the result is the fold of all.
 */
export function withoutSettled(entries: readonly JournalEntry[]): JournalEntry[] {
  const { unacknowledged, execs, exit } = journalState(entries);
  const waiting = new Set(unacknowledged.map(({ number }) => number));
  const lastCreating = entries.findLast(({ record }) => record.type === "creating")?.number ?? 0;
  // An exec's id can be used again: only the records since it was last added are of the one that lives.
  const lastAdded = new Map<string, number>();
  for (const { number, record } of entries) if (record.type === "execAdded") lastAdded.set(record.execId, number);
  const isOfLiveExec = (execId: string, number: number) => execs.has(execId) && number >= lastAdded.get(execId)!;
  const kept = entries.filter(({ number, record }) => {
    if (waiting.has(number)) return true;
    if (number < lastCreating) return false;
    switch (record.type) {
      case "execAdded":
      case "execStarted":
        return isOfLiveExec(record.execId, number);
      case "exited":
        return record.execId === "" ? number === exit?.number : isOfLiveExec(record.execId, number);
      case "oomed":
      case "outputLost":
      case "execDeleted":
        return false;
      default:
        return true;
    }
  });
  const live = new Set(kept.map(({ number }) => number));
  return kept.filter(({ record }) => record.type !== "acknowledged" || live.has(record.record));
}
