/**
 * Rows on disk: the heads, every version of every row, and the checkpoint, in RocksDB. Rows and checkpoint are written in one batch and
 * never synced: the log is the truth, and a lost tail is replayed. Owns one directory; decides nothing.
 */
import { Packr } from "msgpackr";
import RocksDB, { type ReadBatch } from "rocksdb-native";
import type { Position } from "../events/fact.ts";
import type { Head, RowChange } from "./definition.ts";
import type { LivingRow } from "./look.ts";
import {
  CHECKPOINT,
  ENDED,
  HEAD,
  headRange,
  parseRowKey,
  parseVersionKey,
  rowKey,
  type RowName,
  spaceRange,
  type Stretch,
  VERSION,
  versionKey,
  versionsRange,
} from "./row-key.ts";

// A bigint is stored as a 64-bit integer and read back as a bigint, a number never is: a row read back encodes to the same bytes.
const packr = new Packr({ useRecords: false });

/** Entries that one read from RocksDB fetches. */
const ITERATOR_CAPACITY = 512;
/** The same for a scan, which often wants only a few: every table that it looks into is read that far ahead. */
const SCAN_CAPACITY = 64;

/** Which log these rows are a fold of, and the first position that they do not include yet. */
export interface Checkpoint {
  readonly logId: string;
  readonly next: Position;
}

export interface VersionedRow extends RowName {
  readonly position: Position;
  readonly version: number;
  /** Null when this version ended the entity. */
  readonly row: unknown;
}

export class RowStore {
  readonly directory: string;
  readonly #db: RocksDB;
  #checkpoint: Checkpoint | undefined;
  /** Reads that are asked for in this turn of the event loop. */
  #reads: ReadBatch | undefined;

  private constructor(directory: string, db: RocksDB) {
    this.directory = directory;
    this.#db = db;
  }

  /** Opens or, unless `readOnly`, creates the rows in `directory`. */
  static async open(directory: string, options: { readonly readOnly?: boolean } = {}): Promise<RowStore> {
    const readOnly = options.readOnly ?? false;
    const db = new RocksDB(directory, { readOnly, createIfMissing: !readOnly });
    await db.ready();
    return new RowStore(directory, db).#withCheckpoint();
  }

  /** The rows as they are now, to be read while the store goes on; to be closed like a store. */
  snapshot(): Promise<RowStore> {
    return new RowStore(this.directory, this.#db.snapshot()).#withCheckpoint();
  }

  /** Undefined in a new store. */
  get checkpoint(): Checkpoint | undefined {
    return this.#checkpoint;
  }

  /** Writes the changes and the checkpoint that they lead to, all or none. */
  async write(changes: readonly RowChange[], checkpoint: Checkpoint): Promise<void> {
    const batch = this.#db.write({ capacity: changes.length * 2 + 1, autoDestroy: true });
    for (const change of changes) {
      const value = packr.pack([change.version, change.position, change.row]);
      batch.tryPut(versionKey(change, change.position), value);
      if (change.row === null) {
        batch.tryDelete(rowKey(HEAD, change));
        batch.tryPut(rowKey(ENDED, change), packr.pack([change.version, change.position]));
      } else {
        batch.tryPut(rowKey(HEAD, change), value);
        if (change.version > 0) batch.tryDelete(rowKey(ENDED, change));
      }
    }
    batch.tryPut(CHECKPOINT, packr.pack({ logId: checkpoint.logId, next: checkpoint.next }));
    await batch.flush();
    this.#checkpoint = checkpoint;
  }

  /** Every living row, in key order. */
  async *heads(): AsyncIterable<LivingRow> {
    for await (const { key, value } of this.#db.iterator(spaceRange(HEAD), { capacity: ITERATOR_CAPACITY })) {
      yield parseHead(key, value);
    }
  }

  /**
   * The living rows of the stretches, after `after`, in the order of namespace, table and key. Stretches of one table follow each other, in
   * the order of their keys.
   */
  async *scan(stretches: readonly Stretch[], after?: RowName): AsyncGenerator<LivingRow, void> {
    const byTable = Map.groupBy(stretches, ({ table }) => table);
    const tables = [...byTable.keys()].sort();
    const sources = tables.map((table) => this.#scanTable(byTable.get(table)!, after));
    try {
      const heads = await Promise.all(sources.map((source) => source.next()));
      for (;;) {
        let least: number | undefined;
        for (const [index, { value }] of heads.entries()) {
          if (value && (least === undefined || value.namespace < heads[least]!.value!.namespace)) least = index;
        }
        if (least === undefined) return;
        yield heads[least]!.value!;
        heads[least] = await sources[least]!.next();
      }
    } finally {
      await Promise.all(sources.map((source) => source.return()));
    }
  }

  /** The stream version at which the entity last ended, or undefined when it never existed or lives. Asked together, read together. */
  async endedAt(name: RowName): Promise<number | undefined> {
    if (this.#reads === undefined) {
      const reads = this.#db.read({ autoDestroy: true });
      this.#reads = reads;
      queueMicrotask(() => {
        this.#reads = undefined;
        reads.tryFlush();
      });
    }
    const bytes = await this.#reads.get(rowKey(ENDED, name));
    return bytes === null ? undefined : (packr.unpack(bytes) as [number, Position])[0];
  }

  /** The row as the fact at `position` left it; undefined when it ended the entity or is none of this row's. */
  async version(name: RowName, position: Position): Promise<unknown> {
    const bytes = await this.#db.get(versionKey(name, position));
    return bytes === null ? undefined : ((packr.unpack(bytes) as [number, Position, unknown])[2] ?? undefined);
  }

  /** The row as it was before the fact at `next`; undefined when there was none. */
  async rowBefore(name: RowName, next: Position): Promise<Head | undefined> {
    const range = { gte: versionKey(name, 0), lt: versionKey(name, next) };
    for await (const { key, value } of this.#db.iterator(range, { reverse: true, capacity: 1 })) {
      const { key: found, version, position, row } = parseVersion(key, value);
      if (found === name.key) return row === null ? undefined : { version, position, row };
    }
    return undefined;
  }

  /** The versions of one row, oldest first: each position is that of the fact that made it. */
  async *versions(name: RowName): AsyncIterable<VersionedRow> {
    for await (const { key, value } of this.#db.iterator(versionsRange(name), { capacity: ITERATOR_CAPACITY })) {
      const row = parseVersion(key, value);
      if (row.key === name.key) yield row;
    }
  }

  /** The rows as they were before the fact at `next`, in key order; ended ones left out. */
  async *rowsAt(next: Position): AsyncIterable<VersionedRow> {
    let newest: VersionedRow | undefined;
    for await (const { key, value } of this.#db.iterator(spaceRange(VERSION), { capacity: ITERATOR_CAPACITY })) {
      const row = parseVersion(key, value);
      const same = newest?.key === row.key && newest.namespace === row.namespace && newest.table === row.table;
      if (!same && newest !== undefined && newest.row !== null) yield newest;
      if (!same) newest = undefined;
      if (row.position < next) newest = row;
    }
    if (newest !== undefined && newest.row !== null) yield newest;
  }

  /** Every key and value as stored, in key order: what two folds of one log must agree on byte for byte. */
  entries(): AsyncIterable<{ readonly key: Buffer; readonly value: Buffer }> {
    return this.#db.iterator({}, { capacity: ITERATOR_CAPACITY });
  }

  async close(): Promise<void> {
    await this.#db.close();
  }

  async *#scanTable(stretches: readonly Stretch[], after: RowName | undefined): AsyncGenerator<LivingRow, void> {
    for (const stretch of stretches) {
      const range = headRange(stretch, after);
      if (range === undefined) continue;
      for await (const { key, value } of this.#db.iterator(range, { capacity: SCAN_CAPACITY }))
        yield parseHead(key, value);
    }
  }

  async #withCheckpoint(): Promise<this> {
    const bytes = await this.#db.get(CHECKPOINT);
    if (bytes !== null) this.#checkpoint = packr.unpack(bytes) as Checkpoint;
    return this;
  }
}

function parseHead(key: Buffer, value: Buffer): LivingRow {
  const [version, position, row] = packr.unpack(value) as [number, Position, unknown];
  return { ...parseRowKey(key), head: { version, position, row } };
}

function parseVersion(key: Buffer, value: Buffer): VersionedRow {
  const [version, , row] = packr.unpack(value) as [number, Position, unknown];
  return { ...parseVersionKey(key), version, row };
}
