/**
 * Whole trees below an open directory: removing one, and adding up what one takes. Neither follows a symbolic link or crosses into another
 * mount: what somebody mounted inside a snapshot is not the snapshot's to touch.
 */
import { constants, readdirSync } from "node:fs";
import {
  closeDescriptor,
  errorCode,
  openIn,
  removeDirectoryAt,
  type Status,
  statusIfAny,
  unlinkAt,
} from "../platform/mod.ts";

/** One descriptor is open for each level, and the kernel's own paths end at 4096 bytes. */
const depthMax = 4096;

const directoryBit = constants.S_IFDIR;
/** True when a mode is that of a directory. */
export function isDirectory(mode: number): boolean {
  return (mode & constants.S_IFMT) === directoryBit;
}

/** The names in an open directory, as bytes, in no order. */
export function namesIn(directory: number): Buffer[] {
  return readdirSync(`/proc/self/fd/${directory}`, { encoding: "buffer" });
}

/** Opens a directory to list it. @throws KernelError, EXDEV when something is mounted on it */
export function openDirectory(parent: number, name: Buffer | string): number {
  return openIn(parent, name, constants.O_RDONLY | constants.O_DIRECTORY, { noLinks: true, noMounts: true });
}

/**
 * Removes `name` in `parent` and everything below it; what is not there is no error.
 * @throws KernelError, EXDEV when something is mounted within; what was removed until then stays removed
 */
export function removeTree(parent: number, name: Buffer | string, depth = 0): void {
  try {
    unlinkAt(parent, name);
    return;
  } catch (thrown) {
    const code = errorCode(thrown);
    if (code === "ENOENT") return;
    if (code !== "EISDIR" || depth === depthMax) throw thrown;
  }
  const directory = openDirectory(parent, name);
  try {
    for (const child of namesIn(directory)) removeTree(directory, child, depth + 1);
  } finally {
    closeDescriptor(directory);
  }
  removeDirectoryAt(parent, name);
}

/** What a tree takes: bytes of allocated blocks, and inodes, the top directory included. */
export interface Usage {
  readonly size: number;
  readonly inodes: number;
}

const statusBlockBytes = 512;

/** Adds up the tree below an open directory; a file with several names counts once. Names that vanish meanwhile are passed over. @throws KernelError */
export function treeUsage(root: number): Usage {
  const linked = new Set<string>();
  let blocks = 0;
  let inodes = 0;
  const count = (status: Status) => {
    if (status.links > 1 && !isDirectory(status.mode)) {
      const identity = `${status.device.join(":")}:${status.inode}`;
      if (linked.has(identity)) return;
      linked.add(identity);
    }
    blocks += status.blocks;
    inodes++;
  };
  const walk = (directory: number, depth: number) => {
    for (const name of namesIn(directory)) {
      const status = statusIfAny(directory, name);
      if (status === undefined) continue;
      count(status);
      if (isDirectory(status.mode) && depth < depthMax) descend(directory, name, depth + 1);
    }
  };
  const descend = (parent: number, name: Buffer, depth: number) => {
    let directory: number;
    try {
      directory = openDirectory(parent, name);
    } catch (thrown) {
      if (errorCode(thrown) === "ENOENT" || errorCode(thrown) === "EXDEV") return;
      throw thrown;
    }
    try {
      walk(directory, depth);
    } finally {
      closeDescriptor(directory);
    }
  };
  const top = statusIfAny(root, "");
  if (top !== undefined) count(top);
  walk(root, 0);
  return { size: blocks * statusBlockBytes, inodes };
}
