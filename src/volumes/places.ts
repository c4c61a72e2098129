/**
 * Mounts that the daemon holds for containers, each on a directory of its own below one directory. Owns making and undoing them, one at a time
 * for each place. They outlive the daemon, and a container that has one bound into it outlives the place.
 */
import { mkdir, readdir, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { KeyedMutex } from "../content/mod.ts";
import type { Mounters } from "../mounts/mod.ts";
import { errorCode, type MountDescription, readMountinfo, unmountAll } from "../platform/mod.ts";

export interface PlacesOptions {
  /** Absolute. Lost at reboot, as mounts are. */
  readonly directory: string;
  readonly mounters: Mounters;
  /** Told of places that could not be undone; the next start tries again. */
  readonly onLeftover: (error: Error) => void;
}

export class Places {
  readonly #options: PlacesOptions;
  readonly #mutex = new KeyedMutex();

  constructor(options: PlacesOptions) {
    this.#options = options;
  }

  /** `name` is `<namespace>/<name>`. */
  pathOf(name: string): string {
    return join(this.#options.directory, name);
  }

  /** Resolves once it is mounted at the place; what is mounted there stays as it is. @throws what mounting throws, after which nothing is */
  async hold(name: string, describe: () => Promise<readonly MountDescription[]>): Promise<string> {
    const place = this.pathOf(name);
    await this.#mutex.run(name, async () => {
      if (isMounted(place)) return;
      await mkdir(place, { recursive: true, mode: 0o711 });
      await this.#options.mounters.mountAll(await describe(), place);
    });
    return place;
  }

  /** Undoes the place unless `isNeeded` says, when nothing else is done about it, that somebody has come to need it. */
  async letGo(name: string, isNeeded: () => boolean): Promise<void> {
    const place = this.pathOf(name);
    try {
      await this.#mutex.run(name, async () => {
        if (isNeeded()) return;
        await unmountAll(place, { lazy: true });
        // Only an empty directory goes: what is in one that is not was not mounted by us.
        await rmdir(place);
        await rmdir(dirname(place)).catch(() => {});
      });
    } catch (error) {
      if (errorCode(error) !== "ENOENT")
        this.#options.onLeftover(new Error(`undo the mount on ${place}`, { cause: error }));
    }
  }

  /** The names of all places that are there. */
  async list(): Promise<string[]> {
    const names: string[] = [];
    for (const namespace of await entries(this.#options.directory))
      for (const name of await entries(join(this.#options.directory, namespace))) names.push(`${namespace}/${name}`);
    return names;
  }
}

const isMounted = (place: string): boolean => readMountinfo().some(({ mountpoint }) => mountpoint === place);

async function entries(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  }
}
