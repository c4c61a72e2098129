/**
 * The ledger is the one function through which state changes: decide on the heads, append to the log and move the heads, all in one
 * synchronous step, then wait until what was appended is durable.
 */
import { ShiplogError } from "./error.ts";
import { schemaVersions, type StatedFact } from "./events/catalogue.ts";
import type { Fact, NewFact, Position, Principal } from "./events/fact.ts";
import { AttachmentNeeded, type Log } from "./events/mod.ts";
import {
  type Commands,
  type Decider,
  deciders,
  isRejection,
  type Kind,
  type Rejection,
  type Timed,
} from "./machines/mod.ts";
import type { Clock } from "./platform/mod.ts";
import { streamName, type Tables, type View } from "./projections/mod.ts";
import { Watchers } from "./watchers.ts";

export type { Table, View } from "./projections/mod.ts";

/** On whose behalf, in which namespace, and because of what. */
export interface Origin {
  readonly namespace: string;
  readonly principal: Principal;
  readonly request: string;
  readonly cause?: Position;
}

/** A command for one entity. `key` is the stream's id part; for snapshots `<snapshotter>/<key>`. */
export type Step = {
  [K in Kind]: {
    readonly kind: K;
    readonly key: string;
    readonly command: Commands[K];
    readonly namespace?: string;
    /** Instead of the origin's, for a step that another one of the same append brings about. */
    readonly cause?: Position;
  };
}[Kind];

export interface Outcome {
  /** One past the last fact that the decision stands on; durable. Goes into `shiplog-position`. */
  readonly next: Position;
  /** The facts that were appended, in order; empty when the outcome already held. */
  readonly facts: readonly (Fact & StatedFact)[];
}

export type Observer = (appended: readonly (Fact & StatedFact)[]) => void;

export interface Ledger {
  /** The heads now, which may run ahead of what is durable: see `read`. */
  readonly view: View;
  /**
   * Runs `plan` on the heads and carries out its steps as one append, all or none; resolves once durable. The plan must be pure: it
   * may run more than once. The namespace is created implicitly by the first write within it.
   * @throws ShiplogError of the rejection's class; nothing is recorded then.
   */
  transact(origin: Origin, plan: (view: View) => readonly Step[]): Promise<Outcome>;
  /** Answers from the heads, once everything that the answer can have seen is durable. */
  read<T>(query: (view: View) => T): Promise<{ readonly next: Position; readonly value: T }>;
  /**
   * Tells of every append in the tick in which the heads moved, before it is durable; the function that comes back ends that. For
   * those inside the daemon who must not miss a change between two looks at the heads; an observer must be quick and must not throw.
   */
  observe(observer: Observer): () => void;
  /**
   * Resolves with the first defined value of `query`, evaluated now and after each fact of the watched stream, once durable.
   * @throws the signal's reason when it is aborted; ShiplogError ResourceExhausted above the bound of watchers.
   */
  until<T>(
    watched: { readonly kind: Kind; readonly namespace: string; readonly key: string },
    query: (view: View) => T | undefined,
    signal: AbortSignal,
  ): Promise<{ readonly next: Position; readonly value: T }>;
}

/** Rounds that one transaction may take to load ended streams and store attachments before it gives up. */
const ROUNDS_MAX = 64;

type AnyDecider = Decider<{ readonly status: string }, { readonly type: string }, StatedFact>;

export interface LedgerOptions {
  readonly log: Log;
  readonly tables: Tables;
  readonly clock: Clock;
}

/** A ledger over an open log and its tables. */
export function openLedger({ log, tables, clock }: LedgerOptions): Ledger {
  const { heads } = tables;
  const watchers = new Watchers(heads.view);
  const observers = new Set<Observer>();

  /** Waits until everything below `next` is durable; the rows on disk may then follow. */
  async function durable(next: Position): Promise<void> {
    await log.durable(next);
    tables.advance(log.durableNext);
  }

  /** The streams of these steps whose version must be loaded before anything about them can be appended. */
  function unknownStreams(origin: Origin, steps: readonly Step[]): readonly StreamName[] {
    const names = steps.map(({ kind, key, namespace }) => ({ kind, key, namespace: namespace ?? origin.namespace }));
    return names.filter(({ kind, namespace, key }) => heads.nextVersion(kind, namespace, key) === undefined);
  }

  /** Decides every step in turn; each sees what the ones before it did to its own stream. */
  function decide(origin: Origin, steps: readonly Step[]): readonly NewFact[] | Rejection {
    const time = clock.now();
    const facts: NewFact[] = [];
    const streams = new Map<string, { state: { readonly status: string }; version: number }>();
    for (const step of steps) {
      const namespace = step.namespace ?? origin.namespace;
      const stream = streamName(step.kind, step.key);
      const decider = deciders[step.kind] as unknown as AnyDecider;
      let current = streams.get(`${namespace}\0${stream}`);
      if (current === undefined) {
        const state = heads.state(step.kind, namespace, step.key) ?? decider.initialState;
        current = { state, version: heads.nextVersion(step.kind, namespace, step.key)! };
        streams.set(`${namespace}\0${stream}`, current);
      }
      const cause = step.cause ?? origin.cause;
      const decided = decider.decide(current.state, step.command);
      if (isRejection(decided)) return decided;
      for (const { type, data } of decided) {
        const fact: NewFact = {
          time,
          namespace,
          stream,
          version: current.version,
          type,
          schema: schemaVersions[type],
          principal: origin.principal,
          request: origin.request,
          ...(cause === undefined ? {} : { cause }),
          data,
        };
        facts.push(fact);
        current.state = decider.evolve(current.state, fact as NewFact & Timed<StatedFact>);
        current.version += 1;
      }
    }
    return facts;
  }

  function append(facts: readonly NewFact[]): (Fact & StatedFact)[] {
    const first = log.append(facts);
    const appended = facts.map((fact, index) => ({ ...fact, position: first + index }) as Fact & StatedFact);
    for (const fact of appended) tables.apply(fact);
    for (const { namespace, stream } of appended) watchers.moved(namespace, stream);
    for (const observer of observers) observer(appended);
    return appended;
  }

  async function transact(origin: Origin, plan: (view: View) => readonly Step[]): Promise<Outcome> {
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      for (let full = pressure(); full !== undefined; full = pressure()) await full;
      const steps = withNamespace(origin, plan(heads.view));
      const unknown = unknownStreams(origin, steps);
      if (unknown.length > 0) {
        await Promise.all(unknown.map(({ kind, namespace, key }) => tables.recall(kind, namespace, key)));
        continue;
      }
      const decided = decide(origin, steps);
      if ("rejected" in decided) {
        await durable(heads.next);
        throw new ShiplogError(decided.rejected, decided.message, { reason: decided.reason });
      }
      try {
        const appended = decided.length === 0 ? [] : append(decided);
        const { next } = heads;
        await durable(next);
        return { next, facts: appended };
      } catch (error) {
        if (!(error instanceof AttachmentNeeded)) throw error;
        await log.attach(error);
      }
    }
    throw new ShiplogError("Unavailable", "the transaction did not settle: too many streams were being loaded at once");
  }

  const pressure = (): Promise<void> | undefined => log.pressure() ?? tables.pressure();

  return {
    view: heads.view,
    transact,
    async read(query) {
      const value = query(heads.view);
      const { next } = heads;
      await durable(next);
      return { next, value };
    },
    observe(observer) {
      observers.add(observer);
      return () => void observers.delete(observer);
    },
    async until({ kind, namespace, key }, query, signal) {
      const value = await watchers.until(namespace, streamName(kind, key), query, signal);
      const { next } = heads;
      await durable(next);
      return { next, value };
    },
  };
}

interface StreamName {
  readonly kind: Kind;
  readonly namespace: string;
  readonly key: string;
}

/** The first write within a namespace makes it; what is only published there does not. */
function withNamespace(origin: Origin, steps: readonly Step[]): readonly Step[] {
  const namespaces = new Set<string>();
  for (const { kind, namespace } of steps) {
    if (kind !== "namespace" && kind !== "event") namespaces.add(namespace ?? origin.namespace);
  }
  const ensured = [...namespaces].map(
    (name): Step => ({ kind: "namespace", namespace: name, key: name, command: { type: "EnsureNamespace" } }),
  );
  return [...ensured, ...steps];
}
