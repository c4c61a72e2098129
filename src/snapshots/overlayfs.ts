/**
 * Snapshots as overlayfs layers: `<root>/snapshots/<id>/fs` holds what a snapshot adds to its parents, `work` is overlayfs's own. The layout,
 * modes, mount types and order of options are containerd's (snapshots/overlay/overlay.go, v1.6.20), so that its tools read them.
 */
import { lchown, lstat, mkdtemp, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type MountDescription, mount, type OperationHook, proceed, syncFilesystem, unmount } from "../platform/mod.ts";
import { SnapshotDirectories } from "./snapshot-directories.ts";
import type { SnapshotWorkers } from "./snapshot-workers.ts";
import type { LocalSnapshotter, SnapshotKind, SnapshotterOptions } from "./snapshotter.ts";
import type { Usage } from "./tree.ts";
import type { Cloned } from "./tree-clone.ts";

const contentMode = 0o755;
const workMode = 0o711;
const ownDirectoryMode = 0o700;

class Overlayfs implements LocalSnapshotter {
  readonly name = "overlayfs";
  readonly root: string;
  readonly #directories: SnapshotDirectories;
  readonly #workers: SnapshotWorkers;
  readonly #cloners: SnapshotWorkers;
  readonly #hook: OperationHook;
  /** Inodes of an upper directory must not be tied to lower ones, which would forbid one parent under several children. */
  readonly #indexOff: readonly string[];

  constructor({ root, workers, removers = workers, cloners = workers, hook = proceed }: SnapshotterOptions) {
    this.root = root;
    this.#workers = workers;
    this.#cloners = cloners;
    this.#hook = hook;
    this.#directories = new SnapshotDirectories(root, removers, hook);
    this.#indexOff = existsSync("/sys/module/overlay/parameters/index") ? ["index=off"] : [];
  }

  async open(): Promise<void> {
    if (/[:,]/.test(this.root))
      throw new Error(
        `open overlayfs snapshotter: root '${this.root}' holds ':' or ',', which mean something else to overlayfs`,
      );
    await this.#directories.open();
    await this.#tryMount();
  }

  /** Mounts two empty layers once: the kernel may have no overlayfs, or the file system under the root may not do. */
  async #tryMount(): Promise<void> {
    const trial = await mkdtemp(join(this.root, "trial-"));
    try {
      for (const name of ["lower", "fs", "work", "merged"])
        await this.#directories.make(join(trial, name), ownDirectoryMode);
      const options = [...this.#indexOff, `workdir=${trial}/work`, `upperdir=${trial}/fs`, `lowerdir=${trial}/lower`];
      mount({ type: "overlay", source: "overlay", options }, join(trial, "merged"), this.#hook);
      await unmount(join(trial, "merged"), {}, this.#hook);
    } catch (thrown) {
      throw new Error(`open overlayfs snapshotter: '${this.root}' cannot hold overlayfs layers`, { cause: thrown });
    } finally {
      await rm(trial, { recursive: true, force: true });
    }
  }

  async create(id: string, kind: SnapshotKind, parents: readonly string[]): Promise<undefined> {
    if (kind === "view" && parents.length > 0) return;
    const [parent] = parents;
    this.#hook("snapshot.stat");
    const owner = parent === undefined ? undefined : await lstat(this.#content(parent));
    await this.#directories.make(this.#directories.path(id), ownDirectoryMode);
    await this.#directories.make(this.#content(id), contentMode);
    if (owner !== undefined && (owner.uid !== 0 || owner.gid !== 0)) {
      this.#hook("snapshot.chown");
      await lchown(this.#content(id), owner.uid, owner.gid);
    }
    if (kind === "active") await this.#directories.make(this.#work(id), workMode);
  }

  mounts(id: string, kind: SnapshotKind, parents: readonly string[]): MountDescription[] {
    const [parent, ...others] = parents;
    if (parent === undefined) return [bind(this.#content(id), kind)];
    if (kind === "view" && others.length === 0) return [bind(this.#content(parent), kind)];
    const upper = kind === "active" ? [`workdir=${this.#work(id)}`, `upperdir=${this.#content(id)}`] : [];
    const lower = `lowerdir=${parents.map((layer) => this.#content(layer)).join(":")}`;
    return [{ type: "overlay", source: "overlay", options: [...this.#indexOff, ...upper, lower] }];
  }

  async sync(_id: string): Promise<void> {
    await syncFilesystem(this.root, this.#hook);
  }

  async usage(id: string, kind: SnapshotKind, _parents: readonly string[]): Promise<Usage> {
    if (kind === "view") return { size: 0, inodes: 0 };
    this.#hook("snapshot.usage");
    return this.#workers.run("usage", { directory: this.#content(id) });
  }

  async clone(id: string, source: string, signal: AbortSignal): Promise<Cloned> {
    await this.#directories.make(this.#directories.path(id), ownDirectoryMode);
    this.#hook("snapshot.clone");
    const target = { within: this.#directories.path(id), name: "fs" };
    return this.#cloners.run("clone", { source: this.#content(source), target }, { signal });
  }

  async remove(id: string): Promise<void> {
    await this.#directories.remove(id);
  }

  list(): Promise<string[]> {
    return this.#directories.list();
  }

  async exists(id: string, kind: SnapshotKind, parents: readonly string[]): Promise<boolean> {
    if (kind === "view" && parents.length > 0) return true;
    if (!(await this.#directories.exists(this.#content(id)))) return false;
    return kind === "view" || (await this.#directories.exists(this.#work(id)));
  }

  #content(id: string): string {
    return join(this.#directories.path(id), "fs");
  }

  #work(id: string): string {
    return join(this.#directories.path(id), "work");
  }
}

function bind(source: string, kind: SnapshotKind): MountDescription {
  return { type: "bind", source, options: [kind === "view" ? "ro" : "rw", "rbind"] };
}

/** Opens the overlayfs snapshotter. @throws Error when the kernel or the file system under the root cannot do it, with the reason as cause */
export async function openOverlayfs(options: SnapshotterOptions): Promise<LocalSnapshotter> {
  const snapshotter = new Overlayfs(options);
  await snapshotter.open();
  return snapshotter;
}
