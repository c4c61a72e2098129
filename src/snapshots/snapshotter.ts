/**
 * The disk side of snapshots. A snapshotter knows directories by id and nothing else: names, parents, kinds and labels are the tables', which
 * tell it with each call what it has to know. So it has no state that could drift from the log.
 */
import type { Labels } from "../events/catalogue.ts";
import type { MountDescription, OperationHook } from "../platform/mod.ts";
import type { SnapshotWorkers } from "./snapshot-workers.ts";
import type { Usage } from "./tree.ts";
import type { Cloned } from "./tree-clone.ts";

/** `active` is written, `view` is only read. What is committed is an active snapshot that nobody writes any more. */
export type SnapshotKind = "active" | "view";

/** The committed snapshot that a client wanted to make, and that is there. */
export interface CreateResult {
  /** Its id. */
  readonly committed: string;
  readonly usage: Usage;
}

/** What a snapshotter is opened with. */
export interface SnapshotterOptions {
  /** Absolute; made if it is missing. */
  readonly root: string;
  readonly workers: SnapshotWorkers;
  /** For removals, where one that hangs must not hold up anything else; `workers` unless it is given. */
  readonly removers?: SnapshotWorkers;
  /** For clones, while which containers stand still; `workers` unless it is given. */
  readonly cloners?: SnapshotWorkers;
  readonly hook?: OperationHook;
}

/**
 * A snapshotter keeps each snapshot's own content in a directory and says how to mount it together with its parents'.
 *
 * An **id** is 1 to 64 of `a-z0-9`, given by the caller, never used twice; or what a `create` has answered with. **Parents** are the ids of committed snapshots, nearest first,
 * down to the base; they are the same in every call about one snapshot.
 *
 * A snapshot's life, as the caller leads it:
 *
 *     create("a1", "active", [])          a directory that nobody refers to yet
 *     … the fact SnapshotPrepared("a1") is recorded …
 *     mounts("a1", "active", [])          the client writes through them, or a layer is applied to them
 *     sync("a1"), usage("a1", …)          what was written is on disk
 *     … the fact SnapshotCommitted is recorded, with the usage …
 *     create("b2", "active", ["a1"])      a child; a1 is only read from now on
 *     … SnapshotRemoved("b2") is recorded …
 *     remove("b2")                        its content goes
 *
 * **Order.** A directory is made before the fact that names it, and removed after the fact that lets it go. So a crash leaves at most
 * directories that no fact names, which `list` finds and `remove` clears; never a fact without its directory, with one exception: `create`
 * does not sync. After a power failure the directory of a recorded active snapshot may be gone, with all that was written into it and never
 * committed; `exists` says so, and calling `create` again with the same arguments makes it anew, empty as it was made first.
 *
 * **Concurrency.** Calls about different ids may overlap. Calls about one id are the caller's to put in order, except that `mounts` is pure
 * and `usage` may run beside anything.
 *
 * **Errors** are node:fs errors or KernelErrors with a `code`: ENOENT when a parent's directory is missing, ENOSPC and the like as they come.
 */
export interface Snapshotter {
  /** As clients name it: `overlayfs`, `native`. */
  readonly name: string;
  /** The directory that it owns; clients read it from the plugin's exports. */
  readonly root: string;

  /**
   * Makes what the snapshot needs on disk, and nothing when it needs nothing of its own. Whatever happens, only what `list` finds is left.
   * Repeating it with the same arguments is harmless: what is there stays as it is. `labels` are those that containerd lets through to a
   * snapshotter. Answers with a snapshot that is committed already where the labels name it and the snapshotter has it by itself; then nothing
   * was made.
   */
  create(
    id: string,
    kind: SnapshotKind,
    parents: readonly string[],
    labels?: Labels,
  ): Promise<CreateResult | undefined>;

  /** How to mount the snapshot. Answers the same for the whole life of the snapshot, restarts included. */
  mounts(
    id: string,
    kind: SnapshotKind,
    parents: readonly string[],
  ): readonly MountDescription[] | Promise<readonly MountDescription[]>;

  /** Resolves once everything written to the snapshot before the call is on disk. */
  sync(id: string): Promise<void>;

  /**
   * The last before a commit is recorded, where the snapshotter has to be told; harmless when repeated. From then on the snapshot is only read.
   * `labels` as for `create`.
   */
  commit?(id: string, labels: Labels): Promise<void>;

  /** What the snapshot itself takes, parents not counted. A view takes nothing. A file with several names counts once. */
  usage(id: string, kind: SnapshotKind, parents: readonly string[]): Promise<Usage>;

  /**
   * Removes the snapshot's directory, out of sight at once and then its content. What is not there is no error, and a remove that failed or
   * was cut short can be repeated. Refuses (EXDEV) to go on where something is mounted within.
   */
  remove(id: string): Promise<void>;

  /**
   * Makes `id` a copy of what the active snapshot `source` has of its own as it is now, for a committed snapshot on the same parents; nothing is
   * synced. Whatever happens, only what `list` finds is left. It is of one moment if nobody writes the source meanwhile. Absent where that
   * cannot be done.
   * @throws the signal's reason; TreeChanged when the source is seen to change
   */
  clone?(id: string, source: string, signal: AbortSignal): Promise<Cloned>;

  /** Every id that has anything on disk, half-made and half-removed ones included; for the sweep at start. In no order. */
  list(): Promise<string[]>;

  /** True when all that `create` makes for these arguments is there; always true where it makes nothing. */
  exists(id: string, kind: SnapshotKind, parents: readonly string[]): Promise<boolean>;
}

/** One whose directories are on this machine, under its root. Mounts touch no disk. */
export interface LocalSnapshotter extends Snapshotter {
  mounts(id: string, kind: SnapshotKind, parents: readonly string[]): MountDescription[];
  clone(id: string, source: string, signal: AbortSignal): Promise<Cloned>;
}
