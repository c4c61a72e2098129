/**
 * The directories that a layer's entries go into. Owns the way from an entry's path to an open directory inside the root, making what is
 * missing, and the keeping open of the directories used last. Must never lead out of the root: every path is resolved by the kernel with
 * the root as `/`, and what is made is made one name at a time in a directory that is open already. Paths are latin1 strings.
 */
import { constants } from "node:fs";
import {
  changeModeAt,
  changeOwnerAt,
  closeDescriptor,
  errorCode,
  getXattr,
  kernelError,
  listXattrs,
  makeDirectoryAt,
  readLinkAt,
  setXattr,
  type Status,
  standIn,
  statusAt,
  statusIfAny,
} from "../platform/mod.ts";
import { isDirectory } from "./tree.ts";

/** An open directory. It stays open until the next `release`. */
export interface LayerDirectory {
  readonly descriptor: number;
  readonly inode: bigint;
}

/** A directory that had to be made because an entry lies within it. */
export interface ImpliedDirectory {
  readonly parent: LayerDirectory;
  readonly parentPath: string;
  readonly name: string;
  readonly inode: bigint;
  /** The status of the lower layer's directory that it was made after; absent where no lower layer has one. */
  readonly lower: Status | undefined;
}

const keptOpenMax = 64;
/** As containerd's resolver: more links than this in one path are a loop. */
const linksMax = 255;
const impliedDirectoryMode = 0o755;

/** The bytes of a latin1 name. */
export function bytes(name: string): Buffer {
  return Buffer.from(name, "latin1");
}

/** A path without `.`, `..` and doubled slashes, as if its start were the root; empty for the root itself. */
export function cleanPath(path: string): string {
  const kept: string[] = [];
  for (const name of path.split("/")) {
    if (name === "..") kept.pop();
    else if (name !== "" && name !== ".") kept.push(name);
  }
  return kept.join("/");
}

export class LayerDirectories {
  readonly #root: LayerDirectory;
  readonly #lowers: readonly number[];
  readonly #implied: (directory: ImpliedDirectory) => void;
  /** Least recently used first. */
  readonly #open = new Map<string, LayerDirectory>();
  /** No longer found by path, but perhaps still in use. */
  readonly #retired: LayerDirectory[] = [];

  /** `root` and `lowers`, the lower layers' directories nearest first, are open descriptors that stay the caller's. */
  constructor(root: number, lowers: readonly number[], implied: (directory: ImpliedDirectory) => void) {
    this.#root = { descriptor: root, inode: statusAt(root, "").inode };
    this.#lowers = lowers;
    this.#implied = implied;
  }

  /** The directory at a clean path. @throws KernelError, ENOENT or ENOTDIR */
  find(path: string): LayerDirectory {
    if (path === "") return this.#root;
    const open = this.#open.get(path);
    if (open !== undefined) {
      this.#open.delete(path);
      this.#open.set(path, open);
      return open;
    }
    return this.#keep(path, standIn(this.#root.descriptor, bytes(path), { directory: true }));
  }

  /** The same, made if it is missing. @throws KernelError */
  findOrMake(path: string): LayerDirectory {
    try {
      return this.find(path);
    } catch (thrown) {
      if (errorCode(thrown) !== "ENOENT") throw thrown;
    }
    this.#make(this.#resolve(path));
    return this.find(path);
  }

  /** Says that a directory or symbolic link is gone, so that paths may lead elsewhere now. */
  forget(): void {
    this.#retired.push(...this.#open.values());
    this.#open.clear();
  }

  /** Says that no directory from before is in use any more. */
  release(): void {
    for (const { descriptor } of this.#retired) closeDescriptor(descriptor);
    this.#retired.length = 0;
  }

  close(): void {
    this.forget();
    this.release();
  }

  #keep(path: string, descriptor: number): LayerDirectory {
    const [oldest] = this.#open;
    if (this.#open.size >= keptOpenMax && oldest !== undefined) {
      this.#open.delete(oldest[0]);
      this.#retired.push(oldest[1]);
    }
    const directory = { descriptor, inode: statusAt(descriptor, "").inode };
    this.#open.set(path, directory);
    return directory;
  }

  /** The names that a path comes to when each symbolic link in it is followed inside the root, also where they do not exist yet. */
  #resolve(path: string): string[] {
    const pending = path.split("/");
    const resolved: string[] = [];
    let links = 0;
    for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
      if (name === "" || name === ".") continue;
      if (name === "..") {
        resolved.pop();
        continue;
      }
      const target = this.#linkTarget(resolved, name);
      if (target === undefined) {
        resolved.push(name);
        continue;
      }
      if (++links > linksMax) throw kernelError(loopError, "resolve", { path });
      if (target.startsWith("/")) resolved.length = 0;
      pending.unshift(...target.split("/"));
    }
    return resolved;
  }

  #linkTarget(directory: readonly string[], name: string): string | undefined {
    const parent = standIfAny(this.#root.descriptor, directory.join("/"));
    if (parent === undefined) return undefined;
    try {
      const status = statusIfAny(parent, bytes(name));
      if (status === undefined || (status.mode & constants.S_IFMT) !== constants.S_IFLNK) return undefined;
      return readLinkAt(parent, bytes(name)).toString("latin1");
    } finally {
      closeDescriptor(parent);
    }
  }

  /** Makes each directory on a way that holds no symbolic links. */
  #make(names: readonly string[]): void {
    let parent: LayerDirectory = this.#root;
    const opened: number[] = [];
    try {
      for (const [index, name] of names.entries()) {
        let descriptor = standIfAny(parent.descriptor, name);
        const missing = descriptor === undefined;
        if (missing) makeDirectoryAt(parent.descriptor, bytes(name), impliedDirectoryMode);
        descriptor ??= standIn(parent.descriptor, bytes(name), { directory: true, noLinks: true });
        opened.push(descriptor);
        const directory = { descriptor, inode: statusAt(descriptor, "").inode };
        if (missing) {
          const lower = this.#likeLower(parent, name, descriptor, names.slice(0, index + 1).join("/"));
          this.#implied({ parent, parentPath: names.slice(0, index).join("/"), name, inode: directory.inode, lower });
        }
        parent = directory;
      }
    } finally {
      for (const descriptor of opened) closeDescriptor(descriptor);
    }
  }

  /** Gives a directory that stands only for one in a lower layer that one's owner, mode and attributes. */
  #likeLower(parent: LayerDirectory, name: string, made: number, path: string): Status | undefined {
    changeModeAt(parent.descriptor, bytes(name), impliedDirectoryMode);
    for (const root of this.#lowers) {
      let lower: number;
      try {
        lower = standIn(root, bytes(path));
      } catch (thrown) {
        if (errorCode(thrown) === "ENOENT") continue;
        // This layer has something else where the path goes, so what lies under it is out of sight.
        if (errorCode(thrown) === "ENOTDIR") return undefined;
        throw thrown;
      }
      try {
        const status = statusAt(lower, "");
        if (!isDirectory(status.mode)) return undefined;
        changeOwnerAt(parent.descriptor, bytes(name), status.uid, status.gid);
        copyXattrs(lower, made);
        changeModeAt(parent.descriptor, bytes(name), status.mode & 0o7777);
        return status;
      } finally {
        closeDescriptor(lower);
      }
    }
    return undefined;
  }
}

const loopError = 40;

/** The path of an open directory as other calls take it; the dot is what makes it the directory and not the link in /proc. */
export function directoryPath(descriptor: number): string {
  return `/proc/self/fd/${descriptor}/.`;
}

/** Attributes of class `trusted` are overlayfs's own, and a lower layer's are not this one's. */
function copyXattrs(from: number, to: number): void {
  const source = directoryPath(from);
  for (const name of listXattrs(source)) {
    if (name.startsWith("trusted.")) continue;
    const value = getXattr(source, name);
    if (value !== undefined) setXattr(directoryPath(to), name, value);
  }
}

function standIfAny(root: number, path: string): number | undefined {
  try {
    return standIn(root, path === "" ? "." : bytes(path), { directory: true, noLinks: true });
  } catch (thrown) {
    if (errorCode(thrown) === "ENOENT") return undefined;
    throw thrown;
  }
}
