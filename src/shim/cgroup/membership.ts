/**
 * The shim's own membership in control groups: in one that the options name, or in the container's, so that the container
 * pays for what the shim does for it.
 *
 * Owns moving processes between groups. It must never put the shim where what is done to the container is done to the shim:
 * on v1 it joins only groups that account and share out time and disk. Not freezer (a pause would stop the shim), devices or
 * pids (what runtimes read to signal all processes of a container), and not memory either: the shim, larger than many
 * containers, would be the first that the kernel kills when the container runs out; crun reads that group to signal all; and
 * pages stay charged where they were made, so a shim that lives on would keep the memory groups of dead containers alive.
 * On v2 there is one group for everything, so the shim is in a child of the container's, and out of it while the container
 * is paused or all of it is killed.
 */
import { mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorCode } from "../../platform/mod.ts";
import { type CgroupOf, cgroupAtPath, cgroupOfProcess } from "./location.ts";

/** The hierarchies of v1 whose groups the shim joins, where the machine has them. */
const joinedControllers = ["cpu", "cpuacct", "blkio"] as const;

/** On v2: the group below the container's in which the shim is. */
const shimGroup = "shiplog-shim";

/** Puts process `pid` into every group at `path`, as the option `shim_cgroup` asks. @throws Error with containerd's texts */
export function joinShimCgroup(path: string, pid: number): void {
  let cgroup: CgroupOf;
  try {
    cgroup = cgroupAtPath(path);
  } catch (cause) {
    throw new Error(`failed to load cgroup ${path}: ${messageOf(cause)}`, { cause });
  }
  try {
    const directories = cgroup.version === 1 ? new Set(Object.values(cgroup.directories)) : [cgroup.directory];
    for (const directory of directories) enter(directory, pid);
  } catch (cause) {
    throw new Error(`failed to join cgroup ${path}: ${messageOf(cause)}`, { cause });
  }
}

/** This process's membership in one container's groups; at first it is not in them. One at a time. */
export class ContainerMembership {
  /** One for each hierarchy. */
  readonly #moves: readonly { readonly group: string; readonly home: string; readonly root: string }[];
  readonly #ownGroup: string | undefined;
  #isIn = false;

  /** `home` is where it returns to, `root` the top of the hierarchies, where it goes when its home is gone. @throws node:fs errors */
  constructor(cgroup: CgroupOf, home: CgroupOf = cgroupOfProcess(process.pid), root: CgroupOf = cgroupAtPath("/")) {
    if (cgroup.version === 1 && home.version === 1 && root.version === 1) {
      this.#moves = joinedControllers.flatMap((controller) => {
        const group = cgroup.directories[controller];
        const [from, top] = [home.directories[controller], root.directories[controller]];
        return group === undefined || from === undefined || top === undefined ? [] : [{ group, home: from, root: top }];
      });
    } else if (cgroup.version === 2 && home.version === 2 && root.version === 2) {
      this.#ownGroup = join(cgroup.directory, shimGroup);
      this.#moves = [{ group: this.#ownGroup, home: home.directory, root: root.directory }];
    } else {
      throw new Error("join the container's cgroup: it is of another version than the shim's own");
    }
  }

  /** After create, resume and kill-all. All or nothing. @throws node:fs errors, ENOENT when the container's groups are gone */
  join(): void {
    if (this.#isIn) return;
    this.#isIn = true;
    try {
      if (this.#ownGroup !== undefined) makeIfMissing(this.#ownGroup);
      for (const { group } of this.#moves) enter(group, process.pid);
    } catch (cause) {
      this.leave();
      throw cause;
    }
  }

  /** Before pause, kill-all and delete; once init has ended at the latest. Back where it was before. @throws node:fs errors */
  leave(): void {
    if (!this.#isIn) return;
    this.#isIn = false;
    for (const { home, root } of this.#moves) {
      try {
        enter(home, process.pid);
      } catch (thrown) {
        // An empty group may have been removed meanwhile (systemd does so when the daemon's service ends).
        if (errorCode(thrown) !== "ENOENT") throw thrown;
        enter(root, process.pid);
      }
    }
    if (this.#ownGroup !== undefined) removeIfThere(this.#ownGroup);
  }

  /** Runs `action` from outside, and goes back in if it was in and the container's groups are still there. */
  async aside<T>(action: () => Promise<T>): Promise<T> {
    const wasIn = this.#isIn;
    this.leave();
    try {
      return await action();
    } finally {
      if (wasIn) this.#joinIfThere();
    }
  }

  #joinIfThere(): void {
    try {
      this.join();
    } catch (thrown) {
      if (errorCode(thrown) !== "ENOENT") throw thrown;
    }
  }
}

function enter(group: string, pid: number): void {
  // Not created: where there is no such group there is no such file.
  writeFileSync(join(group, "cgroup.procs"), String(pid), { flag: "r+" });
}

/** Never its parent, which is the container's and may be gone. */
function makeIfMissing(group: string): void {
  try {
    mkdirSync(group);
  } catch (thrown) {
    if (errorCode(thrown) !== "EEXIST") throw thrown;
  }
}

function removeIfThere(group: string): void {
  try {
    rmdirSync(group);
  } catch (thrown) {
    if (errorCode(thrown) !== "ENOENT") throw thrown;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
