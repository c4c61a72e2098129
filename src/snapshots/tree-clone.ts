/**
 * A copy of a tree as it is on disk, marks of overlayfs included: whiteouts, opaque directories, all attributes, owners, modes, times, hard
 * links, holes, devices. What the file system can share is shared, the rest is copied. It never follows a symbolic link, and leaves out what
 * is mounted within. It does not make anybody stand still: a tree that is written meanwhile gives a copy of no one moment.
 */
import { closeSync, constants, openSync } from "node:fs";
import {
  changeModeAt,
  changeOwnerAt,
  changeTimesAt,
  closeDescriptor,
  copyData,
  errorCode,
  getXattr,
  linkAt,
  listXattrs,
  makeDirectoryAt,
  makeNodeAt,
  openAt,
  readLinkAt,
  setXattr,
  shareBlocks,
  type Status,
  statusAt,
  symlinkAt,
} from "../platform/mod.ts";
import { isDirectory, namesIn, openDirectory } from "./tree.ts";

/** One descriptor of each tree is open for each level. */
const depthMax = 4096;

/** Bytes of files' data, holes left out. */
export interface Cloned {
  /** Shared with the source by the file system. */
  readonly sharedBytes: number;
  readonly copiedBytes: number;
}

/** Whoever cloned what the tree was when the clone began wants to hear that it was not. */
export class TreeChanged extends Error {
  override readonly name = "TreeChanged";
  readonly code = "ESTALE";
}

/**
 * Makes directory `target`, which must not be there, the copy of directory `source`. `goOn` is asked at each name, and ends it by throwing;
 * what is made until then stays.
 * @throws KernelError; TreeChanged when a name vanishes while it is copied
 */
export function cloneTree(
  source: string,
  target: { readonly within: string; readonly name: string },
  goOn: () => void,
): Cloned {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  const from = openSync(source, flags);
  const within = openSync(target.within, flags);
  try {
    const clone = new TreeClone(goOn);
    clone.root(from, within, Buffer.from(target.name));
    return clone.cloned;
  } finally {
    closeSync(from);
    closeSync(within);
  }
}

class TreeClone {
  readonly #goOn: () => void;
  /** Of each file with several names, the path of the first one in the copy, from its root. */
  readonly #linked = new Map<string, Buffer>();
  #root = -1;
  /** Set once the file system has said that it cannot, so that it is not asked for each file. */
  #cannotShare = false;
  #sharedBytes = 0;
  #copiedBytes = 0;

  constructor(goOn: () => void) {
    this.#goOn = goOn;
  }

  get cloned(): Cloned {
    return { sharedBytes: this.#sharedBytes, copiedBytes: this.#copiedBytes };
  }

  root(from: number, within: number, name: Buffer): void {
    const status = statusAt(from, "");
    makeDirectoryAt(within, name, 0o700);
    const to = openDirectory(within, name);
    this.#root = to;
    try {
      this.#children(from, to, Buffer.alloc(0), 0);
      changeOwnerAt(within, name, status.uid, status.gid);
      copyAttributes(Buffer.from(`/proc/self/fd/${from}/.`), Buffer.from(`/proc/self/fd/${to}/.`));
      changeModeAt(within, name, status.mode & 0o7777);
      changeTimesAt(within, name, status.atime, status.mtime);
    } finally {
      closeDescriptor(to);
    }
  }

  #children(from: number, to: number, path: Buffer, depth: number): void {
    if (depth > depthMax) throw new Error(`clone a tree: more than ${depthMax} directories within each other`);
    for (const name of namesIn(from)) {
      this.#goOn();
      try {
        this.#entry(from, to, name, path, depth);
      } catch (thrown) {
        if (errorCode(thrown) !== "ENOENT") throw thrown;
        throw new TreeChanged(`clone a tree: '${name}' has vanished while it was copied`, { cause: thrown });
      }
    }
  }

  #entry(from: number, to: number, name: Buffer, path: Buffer, depth: number): void {
    const status = statusAt(from, name);
    const own = path.length === 0 ? name : Buffer.concat([path, Buffer.from("/"), name]);
    const type = status.mode & constants.S_IFMT;
    if (!isDirectory(status.mode) && status.links > 1) {
      const identity = `${status.device.join(":")}:${status.inode}`;
      const first = this.#linked.get(identity);
      if (first !== undefined) {
        // The path leads through directories of the copy, which nobody else has a name for yet.
        linkAt(this.#root, first, to, name);
        return;
      }
      this.#linked.set(identity, own);
    }
    switch (type) {
      case constants.S_IFDIR:
        this.#directory(from, to, name, own, depth);
        break;
      case constants.S_IFREG:
        this.#file(from, to, name, status);
        break;
      case constants.S_IFLNK:
        symlinkAt(readLinkAt(from, name), to, name);
        break;
      default:
        makeNodeAt(to, name, status.mode, status.rdev);
    }
    // In this order, for a change of owner takes capabilities and set-uid bits away.
    changeOwnerAt(to, name, status.uid, status.gid);
    copyAttributes(place(from, name), place(to, name));
    if (type !== constants.S_IFLNK) changeModeAt(to, name, status.mode & 0o7777);
    changeTimesAt(to, name, status.atime, status.mtime);
  }

  #directory(from: number, to: number, name: Buffer, path: Buffer, depth: number): void {
    makeDirectoryAt(to, name, 0o700);
    let source: number;
    try {
      source = openDirectory(from, name);
    } catch (thrown) {
      // What somebody has mounted there is no part of the tree.
      if (errorCode(thrown) === "EXDEV") return;
      throw thrown;
    }
    try {
      const target = openDirectory(to, name);
      try {
        this.#children(source, target, path, depth + 1);
      } finally {
        closeDescriptor(target);
      }
    } finally {
      closeDescriptor(source);
    }
  }

  #file(from: number, to: number, name: Buffer, status: Status): void {
    const source = openAt(from, name, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const target = openAt(to, name, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
      try {
        if (status.size === 0) return;
        if (!this.#cannotShare && shareBlocks(target, source)) {
          this.#sharedBytes += Math.min(status.size, status.blocks * 512);
          return;
        }
        this.#cannotShare = true;
        this.#copiedBytes += copyData(target, source, this.#goOn);
      } finally {
        closeDescriptor(target);
      }
    } finally {
      closeDescriptor(source);
    }
  }
}

const place = (directory: number, name: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), name]);

function copyAttributes(source: Buffer, target: Buffer): void {
  for (const name of listXattrs(source)) {
    const value = getXattr(source, name);
    if (value !== undefined) setXattr(target, name, value);
  }
}
