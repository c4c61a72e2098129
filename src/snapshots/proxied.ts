/**
 * Snapshots that another process keeps, behind containerd's Snapshots API on its socket: another runtime's daemon, or a snapshotter that is a
 * program of its own (stargz, nydus). Owns the names under which that process knows our directories, and what is done when it is away: calls
 * fail as unavailable, removals are made up for later, and nothing is forgotten, for the tables are ours.
 *
 * Over there the snapshot `<prefix><id>` is active or a view, and `<prefix><id>-c` is what it was committed as. Ids that begin with `=` are
 * snapshots that the process had made by itself, under the name that follows.
 */
import { ErrorClass, ShiplogError } from "../error.ts";
import type { Labels } from "../events/catalogue.ts";
import type { MountDescription } from "../platform/mod.ts";
import type { CreateResult, SnapshotKind, Snapshotter } from "./snapshotter.ts";
import type { Usage } from "./tree.ts";
import type { Cloned } from "./tree-clone.ts";

/** A snapshot as the process tells of it. */
export interface RemoteInfo {
  readonly name: string;
  readonly parent: string;
  readonly labels: Labels;
}

/** The process's API. What it answers is thrown as a ShiplogError of its class; Unavailable also when it does not answer. */
export interface RemoteSnapshots {
  prepare(key: string, parent: string, labels: Labels): Promise<readonly MountDescription[]>;
  view(key: string, parent: string, labels: Labels): Promise<readonly MountDescription[]>;
  mounts(key: string): Promise<readonly MountDescription[]>;
  commit(name: string, key: string, labels: Labels): Promise<void>;
  remove(key: string): Promise<void>;
  /** Makes a committed snapshot of an active one that stays; durable when it resolves. */
  take(key: string, name: string, labels: Labels, signal: AbortSignal): Promise<Cloned>;
  stat(key: string): Promise<RemoteInfo>;
  usage(key: string): Promise<Usage>;
  list(): Promise<readonly RemoteInfo[]>;
  close(): void;
}

export interface ProxiedOptions {
  readonly name: string;
  /** What clients read as its root; empty where it is not told. */
  readonly root: string;
  readonly remote: RemoteSnapshots;
  /** Sets our names apart from those of others who use the process: different for each daemon, the same at each of its starts. */
  readonly prefix: string;
  /** Told of removals that had to be put off. */
  readonly onTrouble: (error: Error) => void;
}

/** Nothing over there refers to what is ours, so it is kept for its own sake. */
const keep: Labels = { "containerd.io/gc.root": "shiplog" };

const targetLabel = "containerd.io/snapshot.ref";

/** Removals that wait for the process to come back; further ones are left to the sweep at the next start. */
const putOffMax = 4_096;
const retryMs = 2_000;

export class Proxied implements Snapshotter {
  readonly name: string;
  readonly root: string;
  readonly #remote: RemoteSnapshots;
  readonly #prefix: string;
  readonly #onTrouble: (error: Error) => void;
  readonly #putOff = new Set<string>();
  #retry: NodeJS.Timeout | undefined;

  constructor({ name, root, remote, prefix, onTrouble }: ProxiedOptions) {
    this.name = name;
    this.root = root;
    this.#remote = remote;
    this.#prefix = prefix;
    this.#onTrouble = onTrouble;
  }

  async create(
    id: string,
    kind: SnapshotKind,
    parents: readonly string[],
    labels: Labels = {},
  ): Promise<CreateResult | undefined> {
    const parent = parents[0] === undefined ? "" : this.#committed(parents[0]);
    const passed = { ...labels, ...keep };
    try {
      await this.#calling(() => this.#remote[kind === "active" ? "prepare" : "view"](this.#active(id), parent, passed));
      return undefined;
    } catch (error) {
      if (!isOf(ErrorClass.AlreadyExists, error)) throw error;
      const target = labels[targetLabel];
      return target === undefined ? undefined : this.#existing(target, parent);
    }
  }

  /** What the process has made by itself for this target, as such a snapshotter says by refusing to prepare (containerd: metadata/snapshot.go). */
  async #existing(target: string, parent: string): Promise<CreateResult | undefined> {
    const found = (await this.#calling(() => this.#remote.list())).find(
      (info) => info.labels[targetLabel] === target && info.parent === parent,
    );
    if (found === undefined) return undefined;
    return { committed: `=${found.name}`, usage: await this.#calling(() => this.#remote.usage(found.name)) };
  }

  mounts(id: string): Promise<readonly MountDescription[]> {
    return this.#calling(() => this.#remote.mounts(this.#active(id)));
  }

  /** The process syncs what it commits. */
  async sync(): Promise<void> {}

  async commit(id: string, labels: Labels): Promise<void> {
    try {
      const passed = { ...labels, ...keep };
      await this.#calling(() => this.#remote.commit(this.#committed(id), this.#active(id), passed));
    } catch (error) {
      // It was committed before, and the daemon ended before it could say so.
      const isCommitted = await this.#isThere(this.#committed(id)).catch(() => false);
      if (!isCommitted) throw error;
    }
  }

  async usage(id: string, _kind: SnapshotKind, _parents: readonly string[]): Promise<Usage> {
    try {
      return await this.#calling(() => this.#remote.usage(this.#active(id)));
    } catch (error) {
      if (!isOf(ErrorClass.NotFound, error)) throw error;
      return this.#calling(() => this.#remote.usage(this.#committed(id)));
    }
  }

  /** A process that is another shiplogd can do this; any other one does not know the call, and its answer is Unimplemented. */
  clone(id: string, source: string, signal: AbortSignal): Promise<Cloned> {
    return this.#calling(() => this.#remote.take(this.#active(source), this.#committed(id), keep, signal));
  }

  async remove(id: string): Promise<void> {
    // Behind those that wait already: one of them may stand on this one.
    if (this.#putOff.size > 0 && this.#putOff.size < putOffMax) {
      this.#putOff.add(id);
      return;
    }
    try {
      await this.#remove(id);
    } catch (error) {
      if (!isOf(ErrorClass.Unavailable, error) || this.#putOff.size >= putOffMax) throw error;
      this.#putOff.add(id);
      this.#tryLater();
      this.#onTrouble(new Error(`${this.name}: the removal of ${id} has to wait`, { cause: error }));
    }
  }

  /** Children before their parents: nothing on which something stands can be removed over there. */
  async list(): Promise<string[]> {
    const infos = await this.#calling(() => this.#remote.list());
    const parents = new Map(infos.map(({ name, parent }) => [name, parent]));
    const depth = (name: string): number => {
      let length = 0;
      // A chain cannot be longer than there are snapshots.
      for (let at = name; at !== "" && length <= infos.length; at = parents.get(at) ?? "") length += 1;
      return length;
    };
    const own = infos.filter(({ name }) => name.startsWith(this.#prefix));
    const ids = own
      .map(({ name }) => ({ id: name.slice(this.#prefix.length).replace(/-c$/, ""), depth: depth(name) }))
      .sort((a, b) => b.depth - a.depth);
    return [...new Set(ids.map(({ id }) => id))];
  }

  async exists(id: string): Promise<boolean> {
    return (await this.#isThere(this.#active(id))) || this.#isThere(this.#committed(id));
  }

  /** Ends the tries to remove what could not be removed; the next start's sweep has it. */
  close(): void {
    clearTimeout(this.#retry);
    this.#remote.close();
  }

  #active(id: string): string {
    return `${this.#prefix}${id}`;
  }

  #committed(id: string): string {
    return id.startsWith("=") ? id.slice(1) : `${this.#prefix}${id}-c`;
  }

  async #remove(id: string): Promise<void> {
    const names = id.startsWith("=") ? [this.#committed(id)] : [this.#active(id), this.#committed(id)];
    for (const name of names) {
      try {
        await this.#calling(() => this.#remote.remove(name));
      } catch (error) {
        if (!isOf(ErrorClass.NotFound, error)) throw error;
      }
    }
  }

  async #isThere(name: string): Promise<boolean> {
    try {
      await this.#calling(() => this.#remote.stat(name));
      return true;
    } catch (error) {
      if (!isOf(ErrorClass.NotFound, error)) throw error;
      return false;
    }
  }

  #tryLater(): void {
    if (this.#retry !== undefined) return;
    this.#retry = setTimeout(async () => {
      this.#retry = undefined;
      // In the order in which they were asked for, so children come before their parents.
      for (const id of [...this.#putOff]) {
        try {
          await this.#remove(id);
          this.#putOff.delete(id);
        } catch (error) {
          if (isOf(ErrorClass.Unavailable, error)) break;
          this.#putOff.delete(id);
          this.#onTrouble(new Error(`${this.name}: remove ${id}`, { cause: error }));
        }
      }
      if (this.#putOff.size > 0) this.#tryLater();
    }, retryMs);
    this.#retry.unref();
  }

  /** Says of which process it is when it does not answer. */
  async #calling<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      if (!isOf(ErrorClass.Unavailable, error)) throw error;
      const said = `snapshotter ${this.name}: its process does not answer: ${(error as Error).message}`;
      throw new ShiplogError(ErrorClass.Unavailable, said, { reason: "SnapshotterAway", cause: error });
    }
  }
}

const isOf = (wanted: ErrorClass, error: unknown): boolean => error instanceof ShiplogError && error.class === wanted;
