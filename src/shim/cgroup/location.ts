/**
 * Where a container's control groups are: a directory in each hierarchy of cgroup v1, or one directory of cgroup v2.
 *
 * Owns finding them. A machine that has both (hybrid) keeps the controllers that matter in v1, so it counts as v1, as for
 * containerd (containerd/cgroups: utils.go, Mode).
 */
import { readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { type MountInfo, readMountinfo } from "../../platform/mod.ts";

export interface CgroupV1 {
  readonly version: 1;
  /** By controller (`memory`), or by name of a hierarchy that has none (`name=systemd`). */
  readonly directories: Readonly<Record<string, string>>;
}

export interface CgroupV2 {
  readonly version: 2;
  readonly directory: string;
}

/** Plain data, so that a journal can keep it: a container's counters can be read after its processes are gone, until it is deleted. */
export type CgroupOf = CgroupV1 | CgroupV2;

/** The groups that process `pid` is in. @throws node:fs errors, ENOENT or ESRCH when there is no such process */
export function cgroupOfProcess(pid: number): CgroupOf {
  const paths = parseCgroups(readFileSync(`/proc/${pid}/cgroup`, "utf8"));
  return locate((controller, { root, mountpoint }) => {
    const path = paths.get(controller);
    // A mount may show a hierarchy from some group on (in a container); paths of processes count from the hierarchy's root.
    return path === undefined ? undefined : join(mountpoint, root === "/" ? path : relative(root, path));
  }, `process ${pid}`);
}

/**
 * The groups at one path, below the top of each mounted hierarchy, as the option `shim_cgroup` names them. On v1 only those that
 * are there. @throws Error with containerd's texts when there is none
 */
export function cgroupAtPath(path: string): CgroupOf {
  // What a client names stays below the root, however many `..` it begins with.
  const inside = join("/", path);
  const cgroup = locate((_, { mountpoint }) => join(mountpoint, inside), path);
  if (cgroup.version === 2) {
    if (inside !== path || path.startsWith("/sys/fs/cgroup")) throw new Error("cgroups: invalid group path");
    if (!isDirectory(cgroup.directory)) throw new Error("cgroups: cgroup deleted");
    return cgroup;
  }
  const present = Object.entries(cgroup.directories).filter(([, directory]) => isDirectory(directory));
  if (present.length === 0) throw new Error("cgroups: cgroup deleted");
  return { version: 1, directories: Object.fromEntries(present) };
}

/** The text of /proc/PID/cgroup by controller; the unified hierarchy, which names none, is "". */
export function parseCgroups(text: string): Map<string, string> {
  const paths = new Map<string, string>();
  for (const line of text.split("\n")) {
    if (line === "") continue;
    // `12:cpu,cpuacct:/a/b`; a path may hold colons.
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined)
      throw new Error(`read cgroups of a process: not a cgroup: '${line}'`);
    for (const controller of controllers.split(",")) paths.set(controller, path);
  }
  return paths;
}

type DirectoryOf = (controller: string, mount: MountInfo) => string | undefined;

/** The mounts of hierarchies, read once: they stay while the machine runs, and its table of mounts is long where there are many containers. */
let hierarchies: readonly MountInfo[] = [];

function mountedHierarchies(): readonly MountInfo[] {
  if (hierarchies.length === 0)
    hierarchies = readMountinfo().filter(({ type }) => type === "cgroup" || type === "cgroup2");
  return hierarchies;
}

function locate(directoryOf: DirectoryOf, whose: string): CgroupOf {
  const mounts = mountedHierarchies();
  const directories = new Map<string, string>();
  for (const mount of mounts) {
    if (mount.type !== "cgroup") continue;
    for (const controller of mount.superOptions) {
      const directory = controller === "rw" || controller === "ro" ? undefined : directoryOf(controller, mount);
      if (directory !== undefined && !directories.has(controller)) directories.set(controller, directory);
    }
  }
  if ([...directories.keys()].some((controller) => !controller.startsWith("name="))) {
    return { version: 1, directories: Object.fromEntries(directories) };
  }
  const unified = mounts.find(({ type }) => type === "cgroup2");
  const directory = unified && directoryOf("", unified);
  if (directory === undefined) throw new Error(`cgroup of ${whose}: no hierarchy is mounted`);
  return { version: 2, directory };
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
