/**
 * Snapshots as full copies: `<root>/snapshots/<id>` is the whole file system. Slow and large, and works everywhere. Layout and mounts are
 * containerd's (snapshots/native/native.go, v1.6.20). The copying is coreutils' `cp -a`, which keeps owners, modes, times, hard links, devices
 * and extended attributes, and shares blocks where the file system can.
 */
import { rename } from "node:fs/promises";
import { dirname } from "node:path";
import { type MountDescription, type OperationHook, proceed, runProgram, syncFilesystem } from "../platform/mod.ts";
import { SnapshotDirectories } from "./snapshot-directories.ts";
import type { SnapshotWorkers } from "./snapshot-workers.ts";
import type { LocalSnapshotter, SnapshotKind, SnapshotterOptions } from "./snapshotter.ts";
import type { Usage } from "./tree.ts";
import type { Cloned } from "./tree-clone.ts";

const contentMode = 0o755;

class Native implements LocalSnapshotter {
  readonly name = "native";
  readonly root: string;
  readonly #directories: SnapshotDirectories;
  readonly #workers: SnapshotWorkers;
  readonly #cloners: SnapshotWorkers;
  readonly #hook: OperationHook;

  constructor({ root, workers, removers = workers, cloners = workers, hook = proceed }: SnapshotterOptions) {
    this.root = root;
    this.#workers = workers;
    this.#cloners = cloners;
    this.#hook = hook;
    this.#directories = new SnapshotDirectories(root, removers, hook);
  }

  async open(): Promise<void> {
    await this.#directories.open();
  }

  async create(id: string, kind: SnapshotKind, parents: readonly string[]): Promise<undefined> {
    const [parent] = parents;
    if (parent === undefined) {
      await this.#directories.make(this.#directories.path(id), contentMode);
      return;
    }
    if (kind === "view" || (await this.#directories.exists(this.#directories.path(id)))) return;
    await this.#copy(parent, id);
  }

  /** The copy has its name only once it is whole and on disk: a directory that exists is never half a copy. */
  async #copy(parent: string, id: string): Promise<void> {
    const draft = this.#directories.draftPath(id);
    if (await this.#directories.exists(draft)) await this.#directories.remove(id);
    await this.#directories.make(draft, contentMode);
    await runProgram(
      "snapshot.copy",
      "cp",
      ["-a", "--reflink=auto", "--", `${this.#directories.path(parent)}/.`, draft],
      this.#hook,
    );
    await syncFilesystem(this.root, this.#hook);
    this.#hook("snapshot.rename");
    await rename(draft, this.#directories.path(id));
  }

  mounts(id: string, kind: SnapshotKind, parents: readonly string[]): MountDescription[] {
    const [parent] = parents;
    const source = this.#directories.path(kind === "view" && parent !== undefined ? parent : id);
    return [{ type: "bind", source, options: ["rbind", kind === "view" ? "ro" : "rw"] }];
  }

  async sync(_id: string): Promise<void> {
    await syncFilesystem(this.root, this.#hook);
  }

  async usage(id: string, kind: SnapshotKind, _parents: readonly string[]): Promise<Usage> {
    if (kind === "view") return { size: 0, inodes: 0 };
    this.#hook("snapshot.usage");
    return this.#workers.run("usage", { directory: this.#directories.path(id) });
  }

  async clone(id: string, source: string, signal: AbortSignal): Promise<Cloned> {
    this.#hook("snapshot.clone");
    const target = { within: dirname(this.#directories.path(id)), name: id };
    return this.#cloners.run("clone", { source: this.#directories.path(source), target }, { signal });
  }

  async remove(id: string): Promise<void> {
    await this.#directories.remove(id);
  }

  list(): Promise<string[]> {
    return this.#directories.list();
  }

  async exists(id: string, kind: SnapshotKind, parents: readonly string[]): Promise<boolean> {
    if (kind === "view" && parents.length > 0) return true;
    return this.#directories.exists(this.#directories.path(id));
  }
}

/** Opens the native snapshotter. @throws node:fs errors */
export async function openNative(options: SnapshotterOptions): Promise<LocalSnapshotter> {
  const snapshotter = new Native(options);
  await snapshotter.open();
  return snapshotter;
}
