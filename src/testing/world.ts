/**
 * The model's world: what one namespace of a runtime holds, as rows that the project's own deciders decide on and fold. Pure: whatever
 * happens makes a new world, so a search may try one future and then another. It never asks a runtime and knows no time but its own.
 */
import { unreachable } from "../collection/mod.ts";
import type { Facts, FactType, StatedFact } from "../events/catalogue.ts";
import type { Step } from "../ledger.ts";
import {
  type Decider,
  deciders as projectDeciders,
  isRejection,
  type Kind,
  type Rejection,
  type States,
} from "../machines/mod.ts";
import type { Table, View } from "../projections/mod.ts";
import { kinds, tableName } from "../projections/stream.ts";
import type { Dialect } from "./dialect.ts";
import { type Transition, transitionsOf } from "./transition.ts";

/** What stands for the sequence's namespace, in commands, answers and events alike. */
export const here = "here";

/** Unix nanoseconds; in 2026. Commands name times that are long before it or long after. */
const now = 1_767_225_600_000_000_000n;

export type Deciders = typeof projectDeciders;
type AnyDecider = Decider<{ readonly status: string }, { readonly type: string }, StatedFact>;
type AnyState = { readonly status: string };

/** A fact of the model, with the row as it is just after it. */
export interface ModelFact<T extends FactType = FactType> {
  readonly kind: Kind;
  readonly key: string;
  readonly type: T;
  readonly data: Facts[T];
  readonly row: AnyState;
}

export interface Moved {
  readonly world: World;
  readonly facts: readonly ModelFact[];
  readonly taken: readonly Transition[];
}

/** What has come of an upload so far; its bytes are in no row. */
export interface Upload {
  /** Undefined where there is no file yet: then no list has it, though it can be aborted. */
  readonly letters: string | undefined;
  readonly total: number;
  /** The name of the content that it keeps from being collected, or empty. */
  readonly expected: string;
  /** It was written under no lease once. */
  readonly unleased: boolean;
}

export class World {
  readonly dialect: Dialect;
  readonly #deciders: Deciders;
  readonly #rows: ReadonlyMap<string, AnyState>;
  readonly #uploads: ReadonlyMap<string, Upload>;
  /** Names of content whose bytes are there though nothing links them any more. */
  readonly #lingering: ReadonlySet<string>;

  private constructor(
    dialect: Dialect,
    deciders: Deciders,
    rows: ReadonlyMap<string, AnyState>,
    uploads: ReadonlyMap<string, Upload>,
    lingering: ReadonlySet<string>,
  ) {
    this.dialect = dialect;
    this.#deciders = deciders;
    this.#rows = rows;
    this.#uploads = uploads;
    this.#lingering = lingering;
  }

  /** Nothing yet. Other deciders than the project's own make another world of it: that is how the model itself is tested. */
  static empty(dialect: Dialect, deciders: Deciders = projectDeciders): World {
    return new World(dialect, deciders, new Map(), new Map(), new Set());
  }

  row<K extends Kind>(kind: K, key: string): States[K] | undefined {
    return this.#rows.get(`${kind}/${key}`) as States[K] | undefined;
  }

  /** In ascending order of their keys. */
  rows<K extends Kind>(kind: K): readonly { readonly key: string; readonly row: States[K] }[] {
    const prefix = `${kind}/`;
    return [...this.#rows]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, row]) => ({ key: name.slice(prefix.length), row: row as unknown as States[K] }))
      .sort((left, right) => (left.key < right.key ? -1 : 1));
  }

  get exists(): boolean {
    return this.row("namespace", here) !== undefined;
  }

  upload(ref: string): Upload | undefined {
    return this.#uploads.get(ref);
  }

  /** The same with this under the ref, or with nothing. */
  withUpload(ref: string, upload: Upload | undefined): World {
    const uploads = new Map(this.#uploads);
    if (upload === undefined) uploads.delete(ref);
    else uploads.set(ref, upload);
    return new World(this.dialect, this.#deciders, this.#rows, uploads, this.#lingering);
  }

  /** Whether the content's bytes are there though nothing links them. */
  lingers(name: string): boolean {
    return this.#lingering.has(name) && this.row("blob", name) === undefined;
  }

  withLingering(name: string): World {
    return new World(this.dialect, this.#deciders, this.#rows, this.#uploads, new Set([...this.#lingering, name]));
  }

  /**
   * All of the steps or none: each is decided on what those before it did. The first write in a namespace makes it, as the ledger has it; what
   * is only published there does not.
   */
  move(steps: readonly Step[]): Moved | Rejection {
    const rows = new Map(this.#rows);
    const facts: ModelFact[] = [];
    const taken: Transition[] = [];
    const ensure: Step = { kind: "namespace", key: here, command: { type: "EnsureNamespace" } };
    const makes = steps.some(({ kind }) => kind !== "namespace" && kind !== "event");
    for (const { kind, key, command } of makes ? [ensure, ...steps] : steps) {
      const decider = this.#deciders[kind] as unknown as AnyDecider;
      const name = `${kind}/${key}`;
      const before = rows.get(name) ?? decider.initialState;
      const decided = decider.decide(before, command);
      if (isRejection(decided)) return decided;
      const states = [before];
      for (const fact of decided) {
        states.push(decider.evolve(states.at(-1)!, { ...fact, time: now }));
        facts.push({ kind, key, type: fact.type, data: fact.data, row: states.at(-1)! } as ModelFact);
      }
      const state = states.at(-1)!;
      if (decider.isTerminal(state)) rows.delete(name);
      else rows.set(name, state);
      taken.push(...transitionsOf(kind, command, states, decided));
    }
    return { world: new World(this.dialect, this.#deciders, rows, this.#uploads, this.#lingering), facts, taken };
  }

  /** What a collection takes away, as steps that may be moved. */
  garbage(): readonly Step[] {
    const found = unreachable(this.#view(), now);
    if (found.length === 0) return [];
    const record: Step = { kind: "collection", key: here, command: { type: "RecordCollection", removed: found } };
    const ends = found.map(({ kind, key, reason }): Step => {
      switch (kind) {
        case "lease":
          return { kind, key, command: { type: "ExpireLease", id: key } };
        case "image":
          return { kind, key, command: { type: "DeleteImage", name: key } };
        case "ingest":
          return { kind, key, command: { type: "AbortIngest", ref: key, reason } };
        case "blob":
          return { kind, key, command: { type: "DeleteBlob", digest: key, collected: true } };
        case "snapshot": {
          const name = key.slice(key.indexOf("/") + 1);
          return { kind, key, command: { type: "RemoveSnapshot", key: name, children: 0, collected: true } };
        }
        default:
          return kind satisfies never;
      }
    });
    return [record, ...ends];
  }

  /** Bytes that no row knows are gone, as after a collection. */
  withoutLeftovers(): World {
    const uploads = new Map([...this.#uploads].filter(([ref]) => this.row("ingest", ref) !== undefined));
    return new World(this.dialect, this.#deciders, this.#rows, uploads, new Set());
  }

  children(name: string): number {
    const snapshotter = name.slice(0, name.indexOf("/") + 1);
    return this.rows("snapshot").filter(
      ({ key, row }) => key.startsWith(snapshotter) && snapshotter + row.parent === name,
    ).length;
  }

  /** Equal for worlds that no command can tell apart. */
  fingerprint(): string {
    const rows = [...this.#rows].sort(([left], [right]) => (left < right ? -1 : 1));
    return JSON.stringify([rows, [...this.#uploads].sort(), [...this.#lingering].sort()], (_, value: unknown) =>
      typeof value === "bigint"
        ? String(value)
        : value instanceof Uint8Array
          ? Buffer.from(value).toString("hex")
          : value,
    );
  }

  /** What an ingest keeps, and whether only a lease keeps it. */
  #held(ref: string): { readonly expected: string; readonly leased: boolean } {
    const { expected = "", unleased = false } = this.upload(ref) ?? {};
    const leased = this.row("ingest", ref)!.leased;
    return { expected, leased: leased && !(unleased && this.dialect.resumedUploadIsKept) };
  }

  /** As the collector looks at the tables. */
  #view(): View {
    const rows = <K extends Kind>(kind: K) =>
      this.rows(kind).map(({ key, row }) => {
        return { namespace: here, key, row: kind === "ingest" ? { ...row, ...this.#held(key) } : row };
      });
    const tables = kinds.map((kind) => {
      const table: Table<unknown> = {
        get: (_, key) => rows(kind).find((each) => each.key === key)?.row,
        list: () => rows(kind),
        all: () => rows(kind),
      };
      return [tableName(kind), table];
    });
    return {
      ...(Object.fromEntries(tables) as Omit<View, "next">),
      next: 0,
      snapshotChildren: (_, name) => this.children(name),
      blobLinks: (digest) => (this.row("blob", digest) === undefined ? 0 : 1),
    };
  }
}
