/**
 * Bundles: the directory that an OCI runtime and its shim work in, one per task, where containerd keeps them
 * (`<state>/io.containerd.runtime.v2.task/<namespace>/<id>`; containerd: runtime/v2/bundle.go).
 *
 * Owns making and removing these directories. It must never delete what is mounted in one: a mount there is the container's
 * root file system, and removing through it would remove the image's files. It knows nothing of tasks: whether a bundle may
 * go is the caller's to say.
 */
import {
  chmod,
  chown,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  rmdir,
  symlink,
  writeFile,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorCode, type OperationHook, proceed, readMountinfo, unmountAll } from "../platform/mod.ts";

const plugin = "io.containerd.runtime.v2.task";

/** Names one task among all of the daemon's. */
export interface TaskKey {
  readonly namespace: string;
  readonly id: string;
}

export interface BundleOptions {
  /** Lost at reboot, as the tasks are. */
  readonly stateDir: string;
  /** Kept over reboots. */
  readonly rootDir: string;
  readonly hook?: OperationHook;
}

export class Bundles {
  readonly #state: string;
  readonly #root: string;
  readonly #hook: OperationHook;

  constructor({ stateDir, rootDir, hook = proceed }: BundleOptions) {
    this.#state = join(stateDir, plugin);
    this.#root = join(rootDir, plugin);
    this.#hook = hook;
  }

  pathOf({ namespace, id }: TaskKey): string {
    return join(this.#state, namespace, id);
  }

  /** For images of the task's processes: on a disk, where the state directory may be in memory. It goes with the bundle. */
  imagesPathOf({ namespace, id }: TaskKey, purpose: "checkpoint" | "restore"): string {
    return join(this.#root, namespace, id, purpose);
  }

  /**
   * Makes the bundle with `spec` as its config.json, byte for byte, and returns its path. When any step fails, what was made is
   * removed again.
   * @throws Error with code EEXIST when the bundle is there already; SyntaxError when the spec is no JSON.
   */
  async create(key: TaskKey, spec: Uint8Array): Promise<string> {
    const bundle = this.pathOf(key);
    const work = join(this.#root, key.namespace, key.id);
    this.#hook("bundle.create");
    const group = remappedGroup(spec);
    await mkdir(dirname(bundle), { recursive: true, mode: 0o711 });
    await mkdir(bundle, { mode: 0o700 });
    try {
      if (group !== 0) {
        await chown(bundle, -1, group);
        await chmod(bundle, 0o710);
      }
      await mkdir(join(bundle, "rootfs"), { mode: 0o711 });
      // Left by a task of the same name before a reboot, when the state directory went and this one stayed.
      await rm(work, { recursive: true, force: true });
      await mkdir(work, { recursive: true, mode: 0o711 });
      await symlink(work, join(bundle, "work"));
      await writeFile(join(bundle, "config.json"), spec, { mode: 0o666 });
    } catch (error) {
      await this.remove(key).catch(() => {});
      throw error;
    }
    return bundle;
  }

  /**
   * Unmounts the root file system, every layer of it and lazily, and removes the bundle and its work directory; one that is not
   * there is no error.
   * @throws Error when something is still mounted in it, or a file cannot be removed.
   */
  async remove(key: TaskKey): Promise<void> {
    const bundle = this.pathOf(key);
    this.#hook("bundle.remove");
    const work = await readlink(join(bundle, "work")).catch(() => join(this.#root, key.namespace, key.id));
    await unmountAll(join(bundle, "rootfs"), { lazy: true }, this.#hook);
    await removeTree(bundle, this.#hook);
    // The link was made by us, but what it says is read back from a directory that a runtime writes in.
    if (work.startsWith(`${this.#root}/`)) await removeTree(work, this.#hook);
  }

  /** The bundles that are there, whoever owns them. */
  async list(): Promise<TaskKey[]> {
    const found: TaskKey[] = [];
    for (const namespace of await visibleNames(this.#state)) {
      for (const id of await visibleNames(join(this.#state, namespace))) found.push({ namespace, id });
    }
    return found;
  }

  /** Removes what half-done removals and lost state directories left behind: hidden directories, and work directories without a bundle. */
  async sweep(): Promise<void> {
    for (const base of [this.#state, this.#root]) {
      for (const namespace of await visibleNames(base)) {
        const directory = join(base, namespace);
        for (const name of await names(directory)) {
          if (name.startsWith(".")) await removeTree(join(directory, name), this.#hook);
        }
      }
    }
    const owned = new Set((await this.list()).map(({ namespace, id }) => join(this.#root, namespace, id)));
    for (const namespace of await visibleNames(this.#root)) {
      for (const id of await visibleNames(join(this.#root, namespace))) {
        const work = join(this.#root, namespace, id);
        if (!owned.has(work)) await removeTree(work, this.#hook);
      }
    }
  }

  /** The text of a small file in the bundle, or undefined when it is missing or empty. */
  async read(key: TaskKey, name: string): Promise<string | undefined> {
    try {
      const text = await readFile(join(this.pathOf(key), name), "utf8");
      return text === "" ? undefined : text;
    } catch (error) {
      if (errorCode(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  /** Records which shim serves the bundle, as containerd does: clean-up after a crash runs the same binary. */
  async writeShimBinaryPath(key: TaskKey, binary: string): Promise<void> {
    this.#hook("bundle.writeShimBinaryPath");
    await writeFile(join(this.pathOf(key), "shim-binary-path"), binary, { mode: 0o600 });
  }
}

/** Renames first, so that a half-removed directory is never taken for a bundle. */
async function removeTree(path: string, hook: OperationHook): Promise<void> {
  const name = basename(path);
  const hidden = name.startsWith(".") ? path : join(dirname(path), `.${name}`);
  if (hidden !== path) {
    await removeHidden(hidden, hook);
    try {
      hook("bundle.remove.rename");
      await rename(path, hidden);
    } catch (error) {
      if (errorCode(error) === "ENOENT") return;
      throw error;
    }
  }
  await removeHidden(hidden, hook);
}

async function removeHidden(path: string, hook: OperationHook): Promise<void> {
  await refuseIfMounted(path);
  hook("bundle.remove.rm");
  await rm(path, { recursive: true, force: true });
}

/** A rootfs that can be removed is empty and has nothing mounted on it; only otherwise is the long table of mounts read. */
async function refuseIfMounted(path: string): Promise<void> {
  try {
    await rmdir(join(path, "rootfs"));
    return;
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return;
  }
  const mounted = readMountinfo().find(({ mountpoint }) => mountpoint.startsWith(`${path}/`));
  if (mounted !== undefined) throw new Error(`remove ${path}: ${mounted.mountpoint} is still mounted`);
}

async function names(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return [];
    throw error;
  }
}

async function visibleNames(directory: string): Promise<string[]> {
  return (await names(directory)).filter((name) => !name.startsWith("."));
}

/** The host's group for group 0 of a user namespace, which must be able to enter the bundle; 0 without one (containerd: bundle_linux.go). */
function remappedGroup(spec: Uint8Array): number {
  const { linux } = JSON.parse(Buffer.from(spec).toString("utf8")) as {
    linux?: { gidMappings?: readonly { containerID?: unknown; hostID?: unknown }[] | null } | null;
  };
  const mapping = (linux?.gidMappings ?? []).find(({ containerID }) => (containerID ?? 0) === 0);
  return typeof mapping?.hostID === "number" ? mapping.hostID : 0;
}
