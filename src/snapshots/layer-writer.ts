/**
 * Writes a layer's entries into a directory. Owns the order of the calls that make one entry, and what replaces what. Must never touch
 * anything outside the root: it names files by an open directory and one name only. After containerd's archive/tar.go (v1.6.20).
 */
import { closeSync, constants, openSync, writeSync } from "node:fs";
import {
  changeModeAt,
  changeOwnerAt,
  changeTimesAt,
  closeDescriptor,
  errorCode,
  linkAt,
  makeDirectoryAt,
  makeNodeAt,
  openAt,
  setXattr,
  statusAt,
  symlinkAt,
} from "../platform/mod.ts";
import { bytes, cleanPath, type ImpliedDirectory, LayerDirectories, type LayerDirectory } from "./layer-directories.ts";
import { LayerInvalid, LayerWriteFailed } from "./layer-errors.ts";
import { EntryType, type TarEntry, type TarSink } from "./tar-reader.ts";
import { isDirectory, removeTree } from "./tree.ts";
import { DeletingWhiteouts, overlayWhiteouts, type Whiteouts, whiteoutName } from "./whiteouts.ts";

/** Where a layer goes. */
export interface LayerTarget {
  readonly root: string;
  /** Directories of the layers below, nearest first; empty where `root` holds them merged. */
  readonly lowers: readonly string[];
  /** `mark`: as overlayfs marks deletions in an upper directory. `delete`: for real. */
  readonly whiteouts: "mark" | "delete";
}

interface DirectoryTimes {
  readonly path: string;
  readonly name: string;
  readonly atime: bigint;
  readonly mtime: bigint;
}

/** The latest time that containerd sets: what 64 bits of nanoseconds hold. Anything outside becomes 1970. */
const timeNsMax = 2n ** 63n - 1n;
const newFileMode = 0o600;
const newDirectoryMode = 0o700;

export class LayerWriter implements TarSink {
  readonly #descriptors: number[] = [];
  readonly #directories: LayerDirectories;
  readonly #whiteouts: Whiteouts;
  /** By inode: the times of a directory change with every name made in it, so they are set last. */
  readonly #times = new Map<bigint, DirectoryTimes>();
  #entry: TarEntry | undefined;
  #directory: LayerDirectory | undefined;
  #path = "";
  #name = "";
  #file: number | undefined;

  constructor(target: LayerTarget) {
    const [root = -1, ...lowers] = [target.root, ...target.lowers].map((path) => this.#open(path));
    this.#directories = new LayerDirectories(root, lowers, (implied) => this.#implied(implied));
    this.#whiteouts =
      target.whiteouts === "mark" ? overlayWhiteouts : new DeletingWhiteouts(() => this.#directories.forget());
  }

  #open(path: string): number {
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    this.#descriptors.push(descriptor);
    return descriptor;
  }

  entry(entry: TarEntry): void {
    this.#directories.release();
    this.#entry = entry;
    const path = cleanPath(entry.name);
    // The root itself belongs to the snapshot, not to a layer.
    if (path === "") return;
    const slash = path.lastIndexOf("/");
    this.#path = slash < 0 ? "" : path.slice(0, slash);
    this.#name = path.slice(slash + 1);
    this.#attempt(entry, () => this.#place(entry));
  }

  content(piece: Buffer): void {
    const file = this.#file;
    const entry = this.#entry;
    if (file === undefined || entry === undefined) return;
    this.#attempt(entry, () => {
      for (let at = 0; at < piece.length; ) at += writeSync(file, piece, at);
    });
  }

  entryEnd(): void {
    const entry = this.#entry;
    const directory = this.#directory;
    this.#entry = this.#directory = undefined;
    if (entry === undefined || directory === undefined) return;
    this.#attempt(entry, () => {
      this.#closeFile();
      this.#describe(entry, directory, bytes(this.#name));
    });
  }

  /** Sets the times of directories, after the last entry. @throws KernelError */
  finish(): void {
    for (const [inode, times] of this.#times) {
      this.#directories.release();
      try {
        const { descriptor } = this.#directories.find(times.path);
        const status = statusAt(descriptor, bytes(times.name));
        // Something else may have taken the directory's place meanwhile, and even its inode.
        if (status.inode === inode && isDirectory(status.mode))
          changeTimesAt(descriptor, bytes(times.name), times.atime, times.mtime);
      } catch (thrown) {
        if (errorCode(thrown) !== "ENOENT" && errorCode(thrown) !== "ENOTDIR") throw thrown;
      }
    }
  }

  /** Gives back every descriptor; to be called whatever happened. */
  close(): void {
    this.#closeFile();
    this.#directories.close();
    for (const descriptor of this.#descriptors) closeSync(descriptor);
    this.#descriptors.length = 0;
  }

  #closeFile(): void {
    if (this.#file !== undefined) closeDescriptor(this.#file);
    this.#file = undefined;
  }

  #place(entry: TarEntry): void {
    const whiteout = whiteoutName(this.#path, this.#name);
    switch (whiteout.kind) {
      case "reserved":
        return;
      case "invalid":
        throw new LayerInvalid(`whiteout '${entry.name}' hides no name`, entry.offset);
      case "opaque":
        this.#whiteouts.makeOpaque(this.#directories.findOrMake(this.#path));
        return;
      case "hide":
        this.#whiteouts.hide(this.#directories.findOrMake(this.#path), whiteout.name, entry);
        return;
      case "none":
        this.#directory = this.#directories.findOrMake(this.#path);
        this.#make(entry, this.#directory);
        this.#whiteouts.brought(this.#directory, this.#name);
        return;
      default:
        whiteout satisfies never;
    }
  }

  /** Makes the entry where nothing is; what is there is removed first, except that a directory stays under a directory. */
  #make(entry: TarEntry, directory: LayerDirectory): void {
    const name = bytes(this.#name);
    if (this.#create(entry, directory, name)) return;
    const existing = statusAt(directory.descriptor, name);
    if (isDirectory(existing.mode) && entry.type === EntryType.directory) return;
    removeTree(directory.descriptor, name);
    this.#directories.forget();
    if (!this.#create(entry, directory, name)) throw new LayerInvalid("the name cannot be cleared", entry.offset);
    if (entry.type === EntryType.directory && this.#whiteouts.hides(existing)) this.#markOpaque(directory, name);
  }

  #markOpaque(directory: LayerDirectory, name: Buffer): void {
    const descriptor = openAt(directory.descriptor, name, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      this.#whiteouts.makeOpaque({ descriptor, inode: statusAt(descriptor, "").inode });
    } finally {
      closeDescriptor(descriptor);
    }
  }

  /** Makes the bare file; false when the name is taken. */
  #create(entry: TarEntry, { descriptor }: LayerDirectory, name: Buffer): boolean {
    try {
      switch (entry.type) {
        case EntryType.file:
          this.#file = openAt(descriptor, name, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, newFileMode);
          return true;
        case EntryType.directory:
          makeDirectoryAt(descriptor, name, newDirectoryMode);
          return true;
        case EntryType.symbolicLink:
          symlinkAt(bytes(entry.linkName), descriptor, name);
          return true;
        case EntryType.hardLink:
          this.#link(entry, descriptor, name);
          return true;
        case EntryType.fifo:
          makeNodeAt(descriptor, name, constants.S_IFIFO | newFileMode, [0, 0]);
          return true;
        case EntryType.characterDevice:
          makeNodeAt(descriptor, name, constants.S_IFCHR | newFileMode, entry.device);
          return true;
        case EntryType.blockDevice:
          makeNodeAt(descriptor, name, constants.S_IFBLK | newFileMode, entry.device);
          return true;
        default:
          entry.type satisfies never;
          return true;
      }
    } catch (thrown) {
      if (errorCode(thrown) === "EEXIST") return false;
      throw thrown;
    }
  }

  /** The target's directory is resolved inside the root; its last name is linked as it is, also when that is a symbolic link. */
  #link(entry: TarEntry, descriptor: number, name: Buffer): void {
    const target = cleanPath(entry.linkName);
    const slash = target.lastIndexOf("/");
    const from = this.#directories.find(slash < 0 ? "" : target.slice(0, slash));
    linkAt(from.descriptor, bytes(target.slice(slash + 1)), descriptor, name);
  }

  /** Owner, attributes, mode, times: in this order, since each may undo a later one (chown clears setuid and capabilities). */
  #describe(entry: TarEntry, directory: LayerDirectory, name: Buffer): void {
    const at = directory.descriptor;
    changeOwnerAt(at, name, entry.uid, entry.gid);
    if (entry.xattrs.length > 0) this.#setXattrs(entry, at, name);
    // A hard link may be to a symbolic link, which has no mode of its own.
    const link =
      entry.type === EntryType.symbolicLink || (entry.type === EntryType.hardLink && isLink(statusAt(at, name).mode));
    if (!link) changeModeAt(at, name, entry.mode);
    const mtime = bounded(entry.mtime);
    const atime = entry.atime === undefined || entry.atime < entry.mtime ? mtime : bounded(entry.atime);
    if (entry.type === EntryType.directory)
      this.#times.set(statusAt(at, name).inode, { path: this.#path, name: this.#name, atime, mtime });
    else changeTimesAt(at, name, atime, mtime);
  }

  /** Attributes of class `trusted` are the host's and not an archive's to set; what a file system or type of file cannot hold is left out. */
  #setXattrs(entry: TarEntry, directory: number, name: Buffer): void {
    const path = Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), name]);
    for (const [attribute, value] of entry.xattrs) {
      if (attribute.startsWith("trusted.")) continue;
      try {
        setXattr(path, bytes(attribute), value);
      } catch (thrown) {
        if (errorCode(thrown) === "ENOTSUP") continue;
        const holdsUserAttributes = entry.type === EntryType.file || entry.type === EntryType.directory;
        if (errorCode(thrown) === "EPERM" && attribute.startsWith("user.") && !holdsUserAttributes) continue;
        throw thrown;
      }
    }
  }

  /** A directory that no entry names: it counts as brought, and keeps the times of the lower one that it stands for. */
  #implied({ parent, parentPath, name, inode, lower }: ImpliedDirectory): void {
    this.#whiteouts.brought(parent, name);
    if (lower !== undefined) this.#times.set(inode, { path: parentPath, name, atime: lower.atime, mtime: lower.mtime });
  }

  #attempt(entry: TarEntry, step: () => void): void {
    try {
      step();
    } catch (thrown) {
      if (thrown instanceof LayerInvalid) throw thrown;
      const reason = thrown instanceof Error ? thrown.message : String(thrown);
      throw new LayerWriteFailed(
        `apply layer: entry '${shown(entry.name)}' at byte ${entry.offset}: ${reason}`,
        errorCode(thrown) ?? "EIO",
        entry.offset,
        { cause: thrown },
      );
    }
  }
}

function isLink(mode: number): boolean {
  return (mode & constants.S_IFMT) === constants.S_IFLNK;
}

/** A time as the file system gets it. */
function bounded(time: bigint): bigint {
  return time < 0n || time > timeNsMax ? 0n : time;
}

/** A name for people: most are UTF-8. */
function shown(name: string): string {
  return bytes(name).toString();
}
