/**
 * When collections run: after deletions, after many changes, when something expires, and when somebody asks. Owns the timer. Its thresholds
 * are containerd's (gc/scheduler, v1.6.20); that it wakes for what expires is its own: there a lease outlives its time until something else
 * happens.
 */
import type { FactType } from "../events/catalogue.ts";
import type { Ledger, Observer } from "../ledger.ts";
import type { Clock } from "../platform/mod.ts";
import type { Collection, Collector } from "./collector.ts";
import { expiryOf, ingestExpiry } from "./expiry.ts";

/** From the start to the first collection. */
const startUpDelayMs = 100;
/** Changes after which there is a collection though nothing was deleted. */
const mutationThreshold = 100;
/** The part of the time that collections may take. */
const pauseThreshold = 0.02;
/** What a collection is taken to last at least, so that a burst of deletions on small tables is met by a few collections, not by many. */
const collectionMsMin = 5;
/** From a collection that failed, or left something because a store was behind, to the next. */
const retryMs = 10_000;
/** Between two collections that only deletions ask for, at most: on tables so large that one takes seconds. */
const intervalMsMax = 60_000;
/** How long the timer sleeps at most: the wall clock, by which things expire, may be set while it does. */
const sleepMsMax = 60_000;

/** Facts after which something may have lost its last reference; containerd's choice. */
const deletions: ReadonlySet<FactType> = new Set([
  "ContainerDeleted",
  "ImageDeleted",
  "LeaseDeleted",
  "LeaseResourceRemoved",
  "BlobDeleted",
  "SnapshotRemoved",
]);

export interface CollectionScheduleOptions {
  readonly collector: Collector;
  readonly ledger: Ledger;
  readonly clock: Clock;
  /** When false, there are only the collections that somebody asks for. */
  readonly automatic: boolean;
  /** Told of collections that nobody asked for and that failed; they are tried again. */
  readonly onFailure: (error: unknown) => void;
}

export class CollectionSchedule {
  readonly #options: CollectionScheduleOptions;
  readonly #stopObserving: () => void;
  #deletions = 0;
  #mutations = 0;
  /** No collection before this, by `performance.now()`, unless asked for or for what expires. */
  #earliest = 0;
  /** A collection is due at `#earliest` whatever has changed. */
  #mustRun = true;
  #nextExpiry: bigint | undefined;
  #spentMs = 0;
  #collections = 0;
  #timer: NodeJS.Timeout | undefined;
  #isRunning = false;
  #started = false;
  #stopped = false;

  constructor(options: CollectionScheduleOptions) {
    this.#options = options;
    this.#stopObserving = options.ledger.observe((facts) => this.#observe(facts));
  }

  /** Begins to collect. */
  start(): void {
    this.#started = true;
    this.#earliest = performance.now() + startUpDelayMs;
    this.#arm();
  }

  /** As `Collector.collect`. */
  async collect(): Promise<Collection> {
    const started = performance.now();
    this.#deletions = 0;
    this.#mutations = 0;
    this.#mustRun = false;
    this.#nextExpiry = undefined;
    const collection = await this.#collectOnce();
    this.#expires(collection.nextExpiry);
    this.#spentMs += Math.max(performance.now() - started, collectionMsMin);
    this.#collections += 1;
    const average = this.#spentMs / this.#collections;
    const interval = Math.min(average / pauseThreshold - average, intervalMsMax);
    this.#earliest = performance.now() + (collection.deferred ? retryMs : interval);
    this.#mustRun ||= collection.deferred;
    this.#arm();
    return collection;
  }

  async #collectOnce(): Promise<Collection> {
    try {
      return await this.#options.collector.collect();
    } catch (error) {
      // What was forgotten for it has to be found again.
      this.#earliest = performance.now() + retryMs;
      this.#mustRun = true;
      this.#arm();
      throw error;
    }
  }

  /** Resolves once no collection is under way; none begins after. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#stopObserving();
    await this.#options.collector.stop();
  }

  #observe(facts: Parameters<Observer>[0]): void {
    // What collections do makes no more to collect.
    if (facts[0]?.type === "GarbageCollected") return;
    this.#mutations += 1;
    for (const fact of facts) {
      if (deletions.has(fact.type)) this.#deletions += 1;
      if (fact.type === "LeaseCreated" || fact.type === "ImageCreated") this.#expires(expiryOf(fact.data.labels));
      else if (fact.type === "ImageUpdated" && fact.data.labels !== undefined)
        this.#expires(expiryOf(fact.data.labels));
      else if (fact.type === "IngestStarted")
        this.#expires(ingestExpiry({ leased: fact.data.leased === true, startedAt: fact.time }));
    }
    if (this.#deletions > 0 || this.#mutations >= mutationThreshold) this.#arm();
  }

  #expires(expiry: bigint | undefined): void {
    if (expiry === undefined || (this.#nextExpiry !== undefined && expiry >= this.#nextExpiry)) return;
    this.#nextExpiry = expiry;
    this.#arm();
  }

  /** Sets the timer to the next reason for a collection. */
  #arm(): void {
    if (!this.#options.automatic || !this.#started || this.#stopped || this.#isRunning) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const wait = this.#waitMs();
    if (wait === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => void this.#wake(), Math.min(wait, sleepMsMax));
    this.#timer.unref();
  }

  #waitMs(): number {
    const isWanted = this.#mustRun || this.#deletions > 0 || this.#mutations >= mutationThreshold;
    const change = isWanted ? Math.max(0, this.#earliest - performance.now()) : Number.POSITIVE_INFINITY;
    if (this.#nextExpiry === undefined) return change;
    // One more, for what expires at a time is not collected before that time has passed.
    const expiry = Number(this.#nextExpiry - this.#options.clock.now()) / 1e6 + 1;
    return Math.min(change, Math.max(0, expiry));
  }

  async #wake(): Promise<void> {
    // A timer may be early by a millisecond, and the clock may have been set.
    if (this.#waitMs() > 0) return this.#arm();
    this.#isRunning = true;
    try {
      await this.collect();
    } catch (error) {
      if (!this.#stopped) this.#options.onFailure(error);
    } finally {
      this.#isRunning = false;
    }
    this.#arm();
  }
}
