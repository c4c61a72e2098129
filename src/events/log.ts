/**
 * The log: opening it, appending to it and reading it back. Owns `<root>/log` and `<root>/attachments` while it is open; a lock keeps
 * every other process out. It must never give out a fact that is not durable, nor one that differs from what was appended.
 */
import { join } from "node:path";
import { type FileHandle, Files } from "../platform/files.ts";
import { type Ids, randomIds } from "../platform/ids.ts";
import { assertAttachable, Attachments, digestOf } from "./attachments.ts";
import {
  AttachmentNeeded,
  LogClosed,
  LogCorruption,
  LogDamaged,
  type LogFailed,
  LogLocked,
  PositionAhead,
} from "./errors.ts";
import { examine } from "./examination.ts";
import type { Fact, NewFact, Position } from "./fact.ts";
import { FactReader } from "./fact-reader.ts";
import { frameSeed } from "./frame.ts";
import { GroupCommit } from "./group-commit.ts";
import { Attached, encodeData, encodeRecord, recordBytesMax } from "./record.ts";
import { recover, type Recovered } from "./recovery.ts";
import { Reserve } from "./reserve.ts";
import type { Segment } from "./segment.ts";

export interface LogOptions {
  /** Holds `log/` and `attachments/`; made when it is missing. */
  readonly root: string;
  readonly files?: Files;
  readonly ids?: Ids;
  /** Size of a segment file in bytes. */
  readonly segmentBytes?: number;
  /** Bytes of appends that may wait for the disk before `pressure` asks callers to hold back. */
  readonly queueBytesMax?: number;
  /** A write or sync failed. The process has to end: what the file holds is not known, and the next start finds out. */
  readonly onFatal: (error: LogFailed) => void;
}

export const segmentBytesDefault = 64 * 1024 * 1024;
export const queueBytesMaxDefault = 16 * 1024 * 1024;

export interface ReadRange {
  /** The first position to read. */
  readonly from: Position;
  /** The position to stop before; by default, and at most, what is durable at the time of the call. */
  readonly to?: Position;
  readonly signal?: AbortSignal;
}

interface Parts {
  readonly lock: FileHandle;
  readonly segments: readonly Segment[];
  readonly attachments: Attachments;
  readonly reader: FactReader;
  /** Undefined in a log that was damaged when it was opened: it has no writer. */
  readonly writer: { readonly commit: GroupCommit; readonly reserve: Reserve } | undefined;
}

export class Log {
  /** 32 lower-case hex digits, made with the log and never changed. */
  readonly logId: string;
  /** The unfinished write that opening found and cut; undefined when the log ended well. */
  readonly recovered: Recovered | undefined;

  readonly #parts: Parts;
  #damage: LogCorruption | undefined;
  #closed = false;

  private constructor(
    parts: Parts,
    logId: Buffer,
    recovered: Recovered | undefined,
    damage: LogCorruption | undefined,
  ) {
    this.#parts = parts;
    this.logId = logId.toString("hex");
    this.recovered = recovered;
    this.#damage = damage;
  }

  /**
   * Opens the log in `root`, or makes one where there is none. An unfinished write at the very end is cut (`recovered`). A damaged log
   * opens too, with `damage` set: what is before the damage can be read, and appends are refused. Errors: LogLocked, LogFormatUnknown,
   * and the filesystem's own.
   */
  static async open(options: LogOptions): Promise<Log> {
    const { root, files = new Files(), ids = randomIds, onFatal } = options;
    const { segmentBytes = segmentBytesDefault, queueBytesMax = queueBytesMaxDefault } = options;
    const directory = join(root, "log");
    await files.makeDirectory("log.mkdir", directory);
    const lock = await takeLock(files, directory);
    let segments: Segment[] = [];
    try {
      const found = await examine(files, directory);
      ({ segments } = found);
      const logId = found.logId ?? Buffer.from(ids.uuid().replaceAll("-", ""), "hex");
      const attachments = new Attachments(files, root);
      const parts = { lock, segments, attachments, reader: new FactReader(segments, attachments) };
      if (found.damage !== undefined) return new Log({ ...parts, writer: undefined }, logId, undefined, found.damage);

      const reserve = new Reserve(files, directory, logId, segmentBytes);
      const seed = frameSeed(logId);
      const recovered = await recover(files, found, reserve, seed);
      const handle = segments.at(-1)!.handle!;
      await files.preallocate("log.preallocate", handle, 0, segmentBytes);
      await files.fsync("log.fsync", handle);
      reserve.prepare();
      const commit = new GroupCommit({ files, segments, reserve, seed, segmentBytes, queueBytesMax, onFatal });
      return new Log({ ...parts, writer: { commit, reserve } }, logId, recovered, undefined);
    } catch (error) {
      for (const segment of segments) await segment.retire();
      await lock.close();
      throw error;
    }
  }

  /** The first position that can be read. */
  get oldest(): Position {
    return this.#parts.reader.oldest;
  }

  /** The position that the next fact will get. In a log that was opened damaged, where the damage begins. */
  get next(): Position {
    return this.#parts.writer?.commit.next ?? this.#damage!.position;
  }

  /** Every position before this one is durable. */
  get durableNext(): Position {
    return this.#parts.writer?.commit.durableNext ?? this.#damage!.position;
  }

  /** Set when the files are not what was written, found at opening or by a later read; appends are refused from then on. */
  get damage(): LogCorruption | undefined {
    return this.#damage;
  }

  /**
   * Appends facts that belong together, all or none, and returns the first one's position; the others follow it. They are durable once
   * `durable(position + facts.length)` has resolved. Errors, all before anything is appended: AttachmentNeeded (`attach`, then try
   * again), AttachmentTooLarge, AppendTooLarge, FactUnstorable, LogDamaged, LogFailed, LogClosed.
   */
  append(facts: readonly NewFact[]): Position {
    if (this.#closed) throw new LogClosed();
    const { commit } = this.#writer();
    const needed = new Map<string, Uint8Array>();
    const records = facts.map((fact, index) => this.#encode(fact, commit.next + index, needed));
    if (needed.size > 0) throw new AttachmentNeeded(needed);
    return commit.append(records);
  }

  /** Makes payloads durable that an append found too long for their records. Errors: the filesystem's own. */
  async attach(needed: AttachmentNeeded): Promise<void> {
    for (const [digest, payload] of needed.payloads) await this.#parts.attachments.put(digest, payload);
  }

  /**
   * Files among the attachments that no record names, by name with their paths; not those that this process has made, which a record may be
   * about to name. None where the log is damaged, for what is behind the damage may name them.
   */
  async strayAttachments(): Promise<ReadonlyMap<string, string>> {
    const { attachments, reader } = this.#parts;
    const names = new Set(await attachments.foreign());
    if (names.size === 0 || this.#damage !== undefined) return new Map();
    // A record that is appended from here on names what this process has made.
    const { next } = this;
    await this.durable(next);
    for await (const digest of reader.attached(this.oldest, next)) names.delete(digest.slice("sha256:".length));
    return new Map([...names].map((name) => [name, attachments.pathOf(name)]));
  }

  /** Removes one of `strayAttachments`, unless this process has made it since. */
  async removeAttachment(name: string): Promise<void> {
    await this.#parts.attachments.remove(name);
  }

  /** Resolves when every position before `next` is durable. Errors: LogFailed, LogClosed, LogDamaged. */
  async durable(next: Position): Promise<void> {
    if (next > this.durableNext) await this.#writer().commit.durable(next);
  }

  /** Calls `listener` with `durableNext` after every sync, before whoever waits in `durable`. It must not throw. */
  onDurable(listener: (durableNext: Position) => void): void {
    this.#parts.writer?.commit.onDurable(listener);
  }

  /** Undefined, or what to wait for before deciding anything more: `queueBytesMax` is exceeded. Ask again afterwards. */
  pressure(): Promise<void> | undefined {
    return this.#parts.writer?.commit.pressure();
  }

  /**
   * Durable facts in order, in batches that are never empty. Ends at `to`. Errors: PositionCompacted, PositionAhead (`from` is beyond
   * `next`), LogCorruption, AttachmentDamaged, the signal's reason when it is aborted.
   */
  async *read({ from, to = Number.POSITIVE_INFINITY, signal }: ReadRange): AsyncGenerator<Fact[], void, undefined> {
    if (from > this.next) throw new PositionAhead(from, this.next);
    try {
      yield* this.#parts.reader.read(from, Math.min(to, this.durableNext), signal);
    } catch (error) {
      // A damaged attachment is not among these: it takes one payload with it, and every other fact can still be trusted.
      if (error instanceof LogCorruption) this.#damage ??= error;
      throw error;
    }
  }

  /**
   * Durable facts in order, from `from` on and then as they come. Ends when the signal is aborted or the log is closed. Errors: those of
   * `read`; LogFailed; in a log that was opened damaged, the LogCorruption once everything before it has been read.
   */
  async *follow({
    from,
    signal,
  }: {
    readonly from: Position;
    readonly signal?: AbortSignal;
  }): AsyncGenerator<Fact[], void, undefined> {
    const aborted = (): boolean => signal?.aborted === true;
    let position = from;
    try {
      while (!aborted()) {
        for await (const facts of this.read({ from: position })) {
          yield facts;
          if (aborted()) return;
          position = facts.at(-1)!.position + 1;
        }
        if (this.#parts.writer === undefined) throw this.#damage!;
        await this.#parts.writer.commit.durable(position + 1, signal);
      }
    } catch (error) {
      if (!(error instanceof LogClosed)) throw error;
    }
  }

  /** One fact; waits until it is durable. Errors: those of `read`, with PositionAhead for a position not given out yet. */
  async get(position: Position): Promise<Fact> {
    if (position >= this.next) throw new PositionAhead(position, this.next);
    await this.durable(position + 1);
    const batches = await Array.fromAsync(this.read({ from: position, to: position + 1 }));
    return batches[0]![0]!;
  }

  /** Writes what is queued, ends all followers, and lets others open the log. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { writer, segments, lock } = this.#parts;
    await writer?.commit.close();
    for (const segment of segments) await segment.retire();
    await writer?.reserve.close();
    await lock.close();
  }

  #writer(): NonNullable<Parts["writer"]> {
    if (this.#damage !== undefined) throw new LogDamaged(this.#damage);
    return this.#parts.writer!;
  }

  #encode(fact: NewFact, position: Position, needed: Map<string, Uint8Array>): Buffer {
    const record = encodeRecord(fact, position);
    if (record.length <= recordBytesMax) return record;
    const payload = encodeData(fact.data);
    assertAttachable(payload);
    const digest = digestOf(payload);
    if (!this.#parts.attachments.has(digest)) needed.set(digest, payload);
    return encodeRecord(fact, position, new Attached(digest, payload.length));
  }
}

async function takeLock(files: Files, directory: string): Promise<FileHandle> {
  const path = join(directory, "LOCK");
  const lock = await files.open("log.lock.open", path, "a");
  try {
    if (files.lock("log.lock", lock)) return lock;
    throw new LogLocked(path);
  } catch (error) {
    await lock.close();
    throw error;
  }
}
