/**
 * A projection at work: heads in memory, rows on disk, opened from a checkpoint and brought up to the log. Owns
 * `<root>/projections/<name>/`: a directory of rows per build, and the file CURRENT that names the one in use. Removing all of it is a
 * supported operation: the next start folds the log again.
 */
import { join } from "node:path";
import type { Fact, Position } from "../events/fact.ts";
import type { Kind } from "../machines/mod.ts";
import type { Files } from "../platform/files.ts";
import { checkRows, compareStores, type StoreComparison } from "./compare.ts";
import type { Projection } from "./definition.ts";
import { Fold, type FactSource } from "./fold.ts";
import { Heads } from "./heads.ts";
import { Look } from "./look.ts";
import { Projector } from "./projector.ts";
import { RowStore, type VersionedRow } from "./row-store.ts";
import { parseStream } from "./stream.ts";

export interface TablesOptions {
  readonly root: string;
  readonly files: Files;
  readonly projection: Projection;
  readonly log: FactSource & { readonly durableNext: Position };
  /** A failed write of rows: the process must end, the next start replays. */
  readonly onFatal: (error: Error) => void;
  /** Rows that are there but cannot be used, and why; they are built anew. */
  readonly onDiscarded: (directory: string, reason: unknown) => void;
}

/** What a rebuild found: how much was folded, and whether the rows in use were the same, byte for byte. */
export interface RebuildReport {
  readonly facts: number;
  readonly rows: number;
  readonly identical: boolean;
  readonly differences: readonly string[];
}

export class Tables {
  readonly #options: TablesOptions;
  readonly #directory: string;
  readonly #projector: Projector;
  readonly #heads: Heads;
  #rebuilding: Promise<RebuildReport> | undefined;
  /** Looks under way: the rows that they see stay until they are done. */
  readonly #looks = new Set<Promise<unknown>>();

  private constructor(options: TablesOptions, heads: Heads, store: RowStore) {
    this.#options = options;
    this.#directory = projectionDirectory(options.root, options.projection);
    this.#heads = heads;
    this.#projector = new Projector({
      store,
      logId: options.log.logId,
      onFlushed: (flushed) => heads.trim(flushed),
      onFatal: options.onFatal,
    });
  }

  /**
   * Opens the rows that CURRENT names when they are of this projection's version and of this log, else builds new ones beside whatever
   * is there and swaps; then folds the rest of the log. Never answers before it has everything that is durable.
   */
  static async open(options: TablesOptions): Promise<Tables> {
    const store = (await openCurrent(options)) ?? (await build(options));
    await removeOthers(options, store.directory);
    const heads = new Heads(options.projection);
    for await (const { table, namespace, key, head } of store.heads()) heads.load(table, namespace, key, head);
    heads.loaded(store.checkpoint?.next ?? 0);
    const tables = new Tables(options, heads, store);
    for await (const facts of options.log.read({ from: heads.next, to: options.log.durableNext })) {
      for (const fact of facts) tables.apply(fact);
      tables.advance(heads.next);
      await tables.pressure();
    }
    return tables;
  }

  get heads(): Heads {
    return this.#heads;
  }

  /** Folds the next fact: the heads move now, the row on disk once it is durable. */
  apply(fact: Fact): void {
    const change = this.#heads.apply(fact);
    if (change !== undefined) this.#projector.take(change);
  }

  /** Everything below `durable` is in the log for good. */
  advance(durable: Position): void {
    this.#projector.advance(durable);
  }

  pressure(): Promise<void> | undefined {
    return this.#projector.pressure();
  }

  /** Learns at which version a stream ended that the heads know nothing of. */
  async recall(kind: Kind, namespace: string, key: string): Promise<void> {
    this.#heads.remember(kind, namespace, key, await this.#projector.store.endedAt({ table: kind, namespace, key }));
  }

  /** The rows as they were before the fact at `next`, which must be durable. */
  async *rowsAt(next: Position): AsyncIterable<VersionedRow> {
    await this.#projector.reached(next);
    yield* this.#projector.store.rowsAt(next);
  }

  /** Has `use` look at the rows as they are, everything that is durable by now included; they stand still meanwhile. */
  async look<T>(use: (look: Look) => Promise<T>): Promise<T> {
    await this.#projector.reached(this.#options.log.durableNext);
    const looking = this.#look(use);
    this.#looks.add(looking);
    try {
      return await looking;
    } finally {
      this.#looks.delete(looking);
    }
  }

  /** The row that a durable fact led to, as it was just after it; undefined when the fact touched none or ended the entity. */
  async rowAfter({ namespace, stream, position }: Fact): Promise<unknown> {
    const name = parseStream(stream);
    if (name === undefined) return undefined;
    const head = this.#heads.head(name.kind, namespace, name.key);
    if (head?.position === position) return head.row;
    await this.#projector.reached(position + 1);
    return this.#projector.store.version({ table: name.kind, namespace, key: name.key }, position);
  }

  /** Every version of one row up to now, oldest first. */
  async *versions(kind: string, namespace: string, key: string): AsyncIterable<VersionedRow> {
    await this.#projector.reached(this.#options.log.durableNext);
    yield* this.#projector.store.versions({ table: kind, namespace, key });
  }

  /**
   * Folds the whole log into new rows beside those in use, compares the two, and swaps; decisions and reads go on meanwhile. Asked for
   * again while one is under way, it answers with that one.
   */
  rebuild(): Promise<RebuildReport> {
    this.#rebuilding ??= this.#rebuild().finally(() => {
      this.#rebuilding = undefined;
    });
    return this.#rebuilding;
  }

  /** Compares the rows on disk with a fresh fold of the log up to their checkpoint; everything else goes on meanwhile. */
  async check(): Promise<StoreComparison> {
    const { log, projection, files } = this.#options;
    const snapshot = await this.#projector.store.snapshot();
    const scratch = join(this.#directory, await freshName(this.#options));
    try {
      return await checkRows(projection, log, snapshot, scratch);
    } finally {
      await snapshot.close();
      await files.rm("projections.remove", scratch);
    }
  }

  /** Writes what is durable and closes the rows. */
  async close(): Promise<void> {
    await this.#rebuilding?.catch(() => {});
    await this.#projector.close();
  }

  async #look<T>(use: (look: Look) => Promise<T>): Promise<T> {
    const snapshot = await this.#projector.store.snapshot();
    try {
      return await use(new Look(snapshot, this.#options.log));
    } finally {
      await snapshot.close();
    }
  }

  async #rebuild(): Promise<RebuildReport> {
    const { log, projection } = this.#options;
    const name = await freshName(this.#options);
    const fresh = await RowStore.open(join(this.#directory, name));
    const fold = new Fold(projection, log, fresh);
    await fold.to(log.durableNext);
    const { old, report } = await this.#projector.swap(async (old, reached) => {
      await fold.to(reached);
      const { equal, different, differences } = await compareStores(old, fresh);
      await writeCurrent(this.#options, name);
      return { fresh, old, report: { facts: reached, rows: equal, identical: different === 0, differences } };
    });
    await Promise.allSettled(this.#looks);
    await old.close();
    await removeOthers(this.#options, fresh.directory);
    return report;
  }
}

const projectionDirectory = (root: string, projection: Projection): string =>
  join(root, "projections", projection.name);

const currentFile = (options: TablesOptions): string =>
  join(projectionDirectory(options.root, options.projection), "CURRENT");

/** Directories are named `v<version>-<number>`; the number only keeps builds apart. */
async function freshName({ files, root, projection }: TablesOptions): Promise<string> {
  const taken = new Set(await files.readdir("projections.list", projectionDirectory(root, projection)));
  for (let number = 0; ; number += 1) {
    const name = `v${projection.version}-${number}`;
    if (!taken.has(name)) return name;
  }
}

async function writeCurrent(options: TablesOptions, name: string): Promise<void> {
  await options.files.writeFileDurably("projections.current", currentFile(options), Buffer.from(`${name}\n`));
}

async function openCurrent(options: TablesOptions): Promise<RowStore | undefined> {
  const directory = projectionDirectory(options.root, options.projection);
  await options.files.makeDirectory("projections.mkdir", directory);
  const name = await readCurrent(options);
  if (name === undefined || !name.startsWith(`v${options.projection.version}-`)) return undefined;
  const path = join(directory, name);
  const { log } = options;
  try {
    const store = await RowStore.open(path);
    const { checkpoint } = store;
    if (checkpoint === undefined || (checkpoint.logId === log.logId && checkpoint.next <= log.durableNext))
      return store;
    await store.close();
    options.onDiscarded(path, `its checkpoint is position ${checkpoint.next} of log ${checkpoint.logId}`);
  } catch (error) {
    options.onDiscarded(path, error);
  }
  return undefined;
}

async function readCurrent(options: TablesOptions): Promise<string | undefined> {
  try {
    return (await options.files.readFile("projections.current.read", currentFile(options))).toString("utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function build(options: TablesOptions): Promise<RowStore> {
  const name = await freshName(options);
  const store = await RowStore.open(join(projectionDirectory(options.root, options.projection), name));
  await new Fold(options.projection, options.log, store).to(options.log.durableNext);
  await writeCurrent(options, name);
  return store;
}

/** Removes rows of earlier versions and of builds that were not finished. */
async function removeOthers({ files, root, projection }: TablesOptions, keep: string): Promise<void> {
  const directory = projectionDirectory(root, projection);
  for (const entry of await files.readdir("projections.list", directory)) {
    const path = join(directory, entry);
    if (path !== keep && entry !== "CURRENT") await files.rm("projections.remove", path);
  }
}

/** Opens the rows in use read-only, for checking them while no daemon runs; undefined when there are none. */
export async function openRowsReadOnly(
  root: string,
  projection: Projection,
  files: Files,
): Promise<RowStore | undefined> {
  const directory = projectionDirectory(root, projection);
  let name: string;
  try {
    name = (await files.readFile("projections.current.read", join(directory, "CURRENT"))).toString("utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  return RowStore.open(join(directory, name), { readOnly: true });
}
