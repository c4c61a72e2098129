/**
 * Collections: finding what no root reaches and removing it. Owns the order: entities end in small appends, each together with the fact that
 * names them and says why, and their files go once that is durable.
 *
 * Nobody waits for a collection but those who ask for one. Marking takes slices of the event loop; each append looks again, in its own tick,
 * at everything that changed since, so what came to be referred to meanwhile stays. It must never remove a thing on an older look.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type ContentDependencies, removeEndedIngest, removeUnlinkedBlob } from "../content/mod.ts";
import { ErrorClass, ShiplogError } from "../error.ts";
import type { Garbage } from "../events/catalogue.ts";
import type { Origin } from "../ledger.ts";
import type { Clock, Ids } from "../platform/mod.ts";
import { parseStream } from "../projections/mod.ts";
import type { Snapshotter } from "../snapshots/mod.ts";
import { Marking } from "./marking.ts";
import { type Unreachable, unmarked } from "./reachable.ts";
import { batches, type Ended, planRemoval, snapshotterOf } from "./removal.ts";
import { RemovalQueue } from "./removal-queue.ts";
import { inSlices } from "./slices.ts";

/** How long `filesGone` takes at most. */
const filesMsMax = 10_000;

export interface CollectorOptions extends ContentDependencies {
  readonly snapshotters: ReadonlyMap<string, Snapshotter>;
  readonly clock: Clock;
  readonly ids: Pick<Ids, "request">;
}

export interface Collection {
  /** What ended, in the order in which it did. */
  readonly removed: readonly Unreachable[];
  /** True when something was left alone because its store is behind with removals. */
  readonly deferred: boolean;
  /** When something will expire by time alone; unix nanoseconds. */
  readonly nextExpiry: bigint | undefined;
  /** Resolves once the files of what ended are gone, or when a store takes so long that it is nobody's to wait for. */
  filesGone(): Promise<void>;
}

export class Collector {
  readonly #options: CollectorOptions;
  readonly #content: RemovalQueue;
  readonly #snapshots: ReadonlyMap<string, RemovalQueue>;
  #running: Promise<Collection> | undefined;
  #waiting: Promise<Collection> | undefined;
  #stopped = false;

  constructor(options: CollectorOptions) {
    this.#options = options;
    const queue = (store: string) => new RemovalQueue(store, { onTrouble: options.onLeftover });
    this.#content = queue("content");
    this.#snapshots = new Map([...options.snapshotters.keys()].map((name) => [name, queue(name)]));
  }

  /**
   * Collects once, with a look that is taken after the call; resolves when what ended is durably recorded. Those who ask during a
   * collection share the next one.
   * @throws what the append threw; what ended before stays so
   */
  collect(): Promise<Collection> {
    if (this.#running === undefined) {
      const running = this.#run().finally(() => {
        if (this.#running === running) this.#running = undefined;
      });
      this.#running = running;
      return running;
    }
    this.#waiting ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#waiting = undefined;
        return this.collect();
      });
    return this.#waiting;
  }

  /** What a collection would remove now. Changes nothing. */
  async explain(): Promise<readonly Unreachable[]> {
    return this.#marking((marking) => inSlices(unmarked(this.#options.ledger.view, marking)));
  }

  /** Whether the files of a snapshot (by its directory's id) wait to be removed, or are being removed. */
  isRemovingSnapshot(snapshotter: string, id: string): boolean {
    return this.#snapshots.get(snapshotter)?.has(directoryName(id)) ?? false;
  }

  isRemovingBlob(digest: string): boolean {
    return this.#content.has(blobName(digest));
  }

  isRemovingIngest(namespace: string, ref: string): boolean {
    return this.#content.has(ingestName(namespace, ref));
  }

  /** Ends a collection that is under way at its next step, and begins no more removals of files: the next start's sweep has them. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const queue of [this.#content, ...this.#snapshots.values()]) queue.stop();
    await Promise.allSettled([this.#running, this.#waiting]);
  }

  async #run(): Promise<Collection> {
    const { ledger, ids } = this.#options;
    const removed: Unreachable[] = [];
    let deferred = false;
    const nextExpiry = await this.#marking(async (marking) => {
      const found = await inSlices(unmarked(ledger.view, marking));
      const request = ids.request();
      for (const { namespace, entries } of batches(found)) {
        this.#throwIfStopped();
        await inSlices(marking.settle());
        const ended = await this.#end(ownOrigin(namespace, request), entries, marking);
        removed.push(...ended.removed);
        deferred ||= ended.deferred;
      }
      return marking.nextExpiry;
    });
    const queues = new Set(removed.flatMap((entry) => this.#queueOf(entry) ?? []));
    return { removed, deferred, nextExpiry, filesGone: () => allIdle(queues) };
  }

  /** Marks everything that is reachable and hands the marks to `use`; they follow the tables for as long as that takes. */
  async #marking<T>(use: (marking: Marking) => Promise<T>): Promise<T> {
    this.#throwIfStopped();
    const { ledger, clock, store } = this.#options;
    const marking = new Marking(ledger.view, clock.now(), (namespace, ref) => store.isBeingWritten(namespace, ref));
    const end = ledger.observe((facts) => {
      for (const { namespace, stream } of facts) {
        const name = parseStream(stream);
        if (name !== undefined) marking.changed(namespace, name.kind, name.key);
      }
    });
    try {
      await inSlices(marking.run());
      return await use(marking);
    } finally {
      end();
    }
  }

  /** Ends those of the entries that are still unreachable, in one append, and has their files removed. */
  async #end(
    origin: Origin,
    entries: readonly Unreachable[],
    marking: Marking,
  ): Promise<{ removed: Unreachable[]; deferred: boolean }> {
    const { namespace } = origin;
    let ended: readonly Ended[] = [];
    let deferred = false;
    await this.#options.ledger.transact(origin, (view) => {
      const plan = planRemoval(view, namespace, entries, marking, this.#isBusy);
      ({ ended, deferred } = plan);
      return plan.steps;
    });
    for (const { entry, directory } of ended) this.#removeFiles(entry, directory);
    return { removed: ended.map(({ entry }) => entry), deferred };
  }

  readonly #isBusy = (entry: Unreachable): boolean => this.#queueOf(entry)?.isFull ?? false;

  #queueOf({ kind, key }: Garbage): RemovalQueue | undefined {
    if (kind === "snapshot") return this.#snapshots.get(snapshotterOf(key));
    return kind === "blob" || kind === "ingest" ? this.#content : undefined;
  }

  #removeFiles({ namespace, kind, key }: Unreachable, directory: string): void {
    if (this.#stopped) return;
    const options = this.#options;
    switch (kind) {
      case "snapshot": {
        const snapshotter = options.snapshotters.get(snapshotterOf(key));
        if (snapshotter === undefined) return;
        this.#snapshots.get(snapshotter.name)!.add(directoryName(directory), () => snapshotter.remove(directory));
        return;
      }
      case "blob":
        this.#content.add(blobName(key), () => removeUnlinkedBlob(options, key));
        return;
      case "ingest":
        this.#content.add(ingestName(namespace, key), () => removeEndedIngest(options, namespace, key));
        return;
      case "lease":
      case "image":
        return;
      default:
        kind satisfies never;
    }
  }

  #throwIfStopped(): void {
    if (this.#stopped)
      throw new ShiplogError(ErrorClass.Unavailable, "the daemon is stopping: unavailable", { reason: "Stopping" });
  }
}

async function allIdle(queues: Iterable<RemovalQueue>): Promise<void> {
  const enough = new AbortController();
  const late = delay(filesMsMax, undefined, { signal: enough.signal, ref: false }).catch(() => {});
  await Promise.race([Promise.all(Array.from(queues, (queue) => queue.idle())), late]);
  enough.abort();
}

/** A collection is the daemon's own doing, whoever asked for it. */
function ownOrigin(namespace: string, request: string): Origin {
  const principal = { uid: process.geteuid!(), gid: process.getegid!(), pid: process.pid, client: "shiplogd" };
  return { namespace, principal, request };
}

const directoryName = (id: string): string => `directory ${id}`;
const blobName = (digest: string): string => `blob ${digest}`;
const ingestName = (namespace: string, ref: string): string => `ingest ${namespace}/${ref}`;
