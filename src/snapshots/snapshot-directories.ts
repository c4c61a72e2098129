/**
 * The directories of one snapshotter: `<root>/snapshots/<id>`, with `new-<id>` while a copy is made and `rm-<id>` while one is removed.
 * Owns these names; what is inside `<id>` is the snapshotter's.
 */
import { chmod, lstat, mkdir, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { errorCode, type OperationHook } from "../platform/mod.ts";
import type { SnapshotWorkers } from "./snapshot-workers.ts";

const idPattern = /^[a-z0-9]{1,64}$/;
const entryPattern = /^(?:new-|rm-)?([a-z0-9]{1,64})$/;
const directoryMode = 0o700;

export class SnapshotDirectories {
  readonly #directory: string;
  readonly #workers: SnapshotWorkers;
  readonly #hook: OperationHook;

  constructor(root: string, workers: SnapshotWorkers, hook: OperationHook) {
    this.#directory = join(root, "snapshots");
    this.#workers = workers;
    this.#hook = hook;
  }

  /** Makes the root. @throws node:fs errors */
  async open(): Promise<void> {
    this.#hook("snapshot.open");
    await mkdir(this.#directory, { recursive: true, mode: directoryMode });
  }

  /** `<root>/snapshots/<id>`. @throws Error (EINVAL) for what is no id: it would be a path */
  path(id: string): string {
    return join(this.#directory, checked(id));
  }

  /** Where a copy is made before it has its name. */
  draftPath(id: string): string {
    return join(this.#directory, `new-${checked(id)}`);
  }

  /** Makes a directory with exactly this mode unless it is there. @throws node:fs errors */
  async make(path: string, mode: number): Promise<void> {
    this.#hook("snapshot.mkdir");
    try {
      await mkdir(path, { mode });
    } catch (thrown) {
      if (errorCode(thrown) === "EEXIST") return;
      throw thrown;
    }
    // The umask had its way with the mode.
    if ((mode & process.umask()) !== 0) await chmod(path, mode);
  }

  async exists(path: string): Promise<boolean> {
    this.#hook("snapshot.stat");
    try {
      return (await lstat(path)).isDirectory();
    } catch (thrown) {
      if (errorCode(thrown) === "ENOENT") return false;
      throw thrown;
    }
  }

  /** As Snapshotter.remove. */
  async remove(id: string): Promise<void> {
    const doomed = join(this.#directory, `rm-${checked(id)}`);
    for (const path of [this.path(id), this.draftPath(id)]) {
      // A remove that was cut short left this behind, and no directory can be renamed over it.
      await this.#removeTree(`rm-${id}`);
      this.#hook("snapshot.rename");
      try {
        await rename(path, doomed);
      } catch (thrown) {
        if (errorCode(thrown) !== "ENOENT") throw thrown;
      }
    }
    await this.#removeTree(`rm-${id}`);
  }

  async #removeTree(name: string): Promise<void> {
    if (!(await this.exists(join(this.#directory, name)))) return;
    this.#hook("snapshot.remove");
    await this.#workers.run("remove", { directory: this.#directory, name });
  }

  /** As Snapshotter.list. */
  async list(): Promise<string[]> {
    this.#hook("snapshot.list");
    const names = await readdir(this.#directory);
    return [...new Set(names.flatMap((name) => entryPattern.exec(name)?.[1] ?? []))];
  }
}

function checked(id: string): string {
  if (!idPattern.test(id)) throw Object.assign(new Error(`snapshot directory: '${id}' is no id`), { code: "EINVAL" });
  return id;
}
