/** Tables in memory for tests of collection, and a second opinion on what is reachable, written as plainly as can be. */
import { schemaVersions, type StatedFact } from "../../src/events/catalogue.ts";
import type { Step, View } from "../../src/ledger.ts";
import { type Decider, deciders, isRejection, type Kind } from "../../src/machines/mod.ts";
import { core } from "../../src/projections/core.ts";
import { Heads } from "../../src/projections/heads.ts";

type AnyDecider = Decider<{ readonly status: string }, { readonly type: string }, StatedFact>;

/** The heads alone: decides and folds as the ledger does, without a log. */
export class Rows {
  readonly #heads = new Heads(core);
  /** Unix nanoseconds. */
  now = 1_000_000_000_000_000_000n;
  /** Told of each fact's stream. */
  onChange: ((namespace: string, kind: Kind, key: string) => void) | undefined;

  get view(): View {
    return this.#heads.view;
  }

  /** Carries the steps out as one append, or none of them when one is refused; returns the facts with their causes. */
  append(namespace: string, steps: readonly Step[]): readonly { readonly type: string; readonly cause?: number }[] {
    const ensure: Step = { kind: "namespace", key: namespace, command: { type: "EnsureNamespace" } };
    const facts: { kind: Kind; key: string; type: string; data: unknown; cause?: number }[] = [];
    const states = new Map<string, { readonly status: string }>();
    for (const { kind, key, command, cause } of [ensure, ...steps]) {
      const decider = deciders[kind] as unknown as AnyDecider;
      const name = `${kind}/${key}`;
      const state = states.get(name) ?? this.#heads.state(kind, namespace, key) ?? decider.initialState;
      const decided = decider.decide(state, command);
      if (isRejection(decided)) return [];
      for (const { type, data } of decided) {
        facts.push({ kind, key, type, data, ...(cause === undefined ? {} : { cause }) });
        states.set(name, decider.evolve(states.get(name) ?? state, { type, data, time: this.now } as never));
      }
    }
    const principal = { uid: 0, gid: 0, pid: 0 };
    for (const { kind, key, type, data } of facts) {
      const version = this.#heads.nextVersion(kind, namespace, key) ?? 0;
      const schema = schemaVersions[type as StatedFact["type"]];
      const stream = `${kind}/${key}`;
      this.#heads.apply({
        position: this.#heads.next,
        time: this.now,
        namespace,
        stream,
        version,
        type,
        schema,
        principal,
        request: "",
        data,
      });
    }
    for (const { kind, key } of facts) this.onChange?.(namespace, kind, key);
    return facts;
  }
}

const named = (namespace: string, kind: string, key: string): string => `${namespace} ${kind} ${key}`;

/** The names of all that exists and may be collected. */
export function collectable(view: View): Set<string> {
  const names = new Set<string>();
  for (const [kind, table] of Object.entries({
    lease: view.leases,
    image: view.images,
    snapshot: view.snapshots,
    ingest: view.ingests,
    blob: view.blobs,
  }))
    for (const { namespace, key } of table.all()) names.add(named(namespace, kind, key));
  return names;
}

export const nameOf = ({
  namespace,
  kind,
  key,
}: {
  readonly namespace: string;
  readonly kind: string;
  readonly key: string;
}): string => named(namespace, kind, key);

/** The names of what is reachable: rules applied to every row again and again until nothing is added. */
export function reachable(view: View, now: bigint): Set<string> {
  const whole = new Set<string>();
  const flat = new Set<string>();
  const passed = (label: string | undefined) => label !== undefined && now > BigInt(Date.parse(label)) * 1_000_000n;
  const kinds = { content: "blob", image: "image", container: "container" } as const;
  const referred = (namespace: string, prefix: string, labels: Readonly<Record<string, string>>): string[] =>
    Object.entries(labels).flatMap(([label, value]) => {
      const [, word, snapshotter] =
        new RegExp(`^${prefix}(content|image|container|snapshot\\.([^/]*))(?:[./].*)?$`).exec(label) ?? [];
      if (word === undefined || (prefix.includes(".ref") && word === "container")) return [];
      return [
        snapshotter === undefined
          ? named(namespace, kinds[word as keyof typeof kinds], value)
          : named(namespace, "snapshot", `${snapshotter}/${value}`),
      ];
    });
  const refs = (namespace: string, labels: Readonly<Record<string, string>>) => {
    for (const name of referred(namespace, "containerd\\.io/gc\\.ref\\.", labels)) whole.add(name);
  };
  for (let size = -1; size !== whole.size + flat.size; ) {
    size = whole.size + flat.size;
    for (const { namespace, key, row } of view.leases.all()) {
      if (passed(row.labels["containerd.io/gc.expire"])) continue;
      whole.add(named(namespace, "lease", key));
      for (const { type, id } of row.resources) {
        const into = row.labels["containerd.io/gc.flat"] === undefined || type === "ingests" ? whole : flat;
        const [kind, snapshotter] = type.split("/");
        const what = { content: "blob", images: "image", ingests: "ingest", snapshots: "snapshot" }[kind!]!;
        into.add(named(namespace, what, snapshotter === undefined ? id : `${snapshotter}/${id}`));
      }
    }
    for (const { namespace, key, row } of view.containers.all()) {
      whole.add(named(namespace, "container", key));
      if (row.snapshotter !== "") whole.add(named(namespace, "snapshot", `${row.snapshotter}/${row.snapshotKey}`));
      refs(namespace, row.labels);
    }
    for (const { namespace, key, row } of view.images.all()) {
      const name = named(namespace, "image", key);
      if (!passed(row.labels["containerd.io/gc.expire"])) whole.add(name);
      if (whole.has(name)) {
        whole.add(named(namespace, "blob", row.target.digest));
        refs(namespace, row.labels);
      } else if (flat.has(name)) flat.add(named(namespace, "blob", row.target.digest));
      if (referred(namespace, "containerd\\.io/gc\\.bref\\.", row.labels).some((keeper) => whole.has(keeper)))
        whole.add(name);
    }
    for (const { namespace, key, row } of view.ingests.all()) {
      const name = named(namespace, "ingest", key);
      if (!row.leased && now <= row.startedAt + 86_400_000_000_000n) whole.add(name);
      if (whole.has(name) && row.expected !== "") whole.add(named(namespace, "blob", row.expected));
    }
    for (const [kind, table] of [
      ["blob", view.blobs],
      ["snapshot", view.snapshots],
    ] as const) {
      for (const { namespace, key, row } of table.all()) {
        const name = named(namespace, kind, key);
        if (row.labels["containerd.io/gc.root"] !== undefined) whole.add(name);
        if (referred(namespace, "containerd\\.io/gc\\.bref\\.", row.labels).some((keeper) => whole.has(keeper)))
          whole.add(name);
        if (whole.has(name)) refs(namespace, row.labels);
        const parent = "parent" in row ? row.parent : "";
        for (const marks of [whole, flat])
          if (parent !== "" && marks.has(name)) marks.add(named(namespace, kind, `${key.split("/")[0]}/${parent}`));
      }
    }
  }
  return new Set([...whole, ...flat]);
}
