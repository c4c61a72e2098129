/**
 * What differs between two trees, in the order in which a layer has it: a directory before what is in it, names by their bytes. Owns the
 * comparison of two files and the two ways of walking:
 *
 * - both trees are read whole, or
 * - the right tree is an overlay on the left one: only its upper directory is read, and the left tree is looked into where that has a name.
 *
 * Everything is reached by descriptors of directories, never by a path of several names: the trees may be in use, and a name that turns into
 * a link must not lead out of them. When two files count as the same is continuity's rule (fs/diff.go, sameFile), which containerd uses; beside
 * the capabilities, which it looks at, attributes of class `user` are looked at too.
 */
import { closeSync, constants, openSync, readSync } from "node:fs";
import {
  closeDescriptor,
  errorCode,
  getXattr,
  listXattrs,
  openAt,
  readLinkAt,
  type Status,
  statusAt,
  statusIfAny,
} from "../platform/mod.ts";
import { isDirectory, namesIn, openDirectory } from "./tree.ts";
import type { Attribute } from "./tar-writer.ts";

const depthMax = 4096;
const compareBytes = 64 * 1024;
const nanosecondsPerSecond = 1_000_000_000n;

/** A directory of the right tree while it is walked; its descriptor is open for as long. */
export interface Directory {
  readonly descriptor: number;
  /** Empty for the root. */
  readonly path: string;
  readonly status: Status;
  readonly parent: Directory | undefined;
  /** As a layer keeps them. */
  readonly attributes: readonly Attribute[];
  /** The walker's client's own mark. */
  written: boolean;
}

/** A name of the right tree that is new, changed, or unchanged and one of several names of its file; or one of the left that is gone. */
export type Change =
  | { readonly kind: "removed"; readonly within: Directory; readonly name: string }
  | {
      readonly kind: "present";
      readonly within: Directory;
      readonly name: string;
      readonly status: Status;
      readonly unchanged: boolean;
      /** When it is a directory. */
      readonly directory: Directory | undefined;
    };

/** The upper directory holds what only overlayfs itself can read: a redirected directory, a file without its content. */
export class UpperUnreadable extends Error {
  override readonly name = "UpperUnreadable";
}

/** Both trees whole. */
export function treeChanges(left: string, right: string): Generator<Change, void, void> {
  return walkRoots(left, right, false);
}

/** The upper directory of an overlay whose lower directories together show `left`. @throws UpperUnreadable */
export function upperChanges(left: string, upper: string): Generator<Change, void, void> {
  return walkRoots(left, upper, true);
}

function* walkRoots(left: string, right: string, overlay: boolean): Generator<Change, void, void> {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY;
  const descriptor = openSync(right, flags);
  let below: number | undefined;
  try {
    below = openSync(left, flags);
    const root = {
      descriptor,
      path: "",
      status: statusAt(descriptor, ""),
      parent: undefined,
      attributes: [],
      written: true,
    };
    yield* walk(root, below, { overlay, whole: !overlay }, 0);
  } finally {
    closeSync(descriptor);
    if (below !== undefined) closeSync(below);
  }
}

/** `whole`: what the right directory does not have is gone; otherwise only what it marks so. */
interface Reading {
  readonly overlay: boolean;
  readonly whole: boolean;
}

function* walk(
  within: Directory,
  left: number | undefined,
  reading: Reading,
  depth: number,
): Generator<Change, void, void> {
  const names = sorted(within.descriptor);
  const all = reading.whole && left !== undefined ? [...new Set([...names, ...sorted(left)])].sort() : names;
  const present = new Set(names);
  for (const name of all) {
    const bytes = Buffer.from(name, "latin1");
    const below = left === undefined ? undefined : statusIfAny(left, bytes);
    // A name that has vanished since it was listed counts as never there.
    const status = present.has(name) ? statusIfAny(within.descriptor, bytes) : undefined;
    if (status === undefined || (reading.overlay && isWhiteout(status))) {
      if (below !== undefined) yield { kind: "removed", within, name };
      continue;
    }
    if (!isDirectory(status.mode)) {
      if (reading.overlay) overlayMark(pathOf(within.descriptor, bytes));
      const unchanged = below !== undefined && isSame(left!, below, within.descriptor, status, bytes);
      if (!unchanged || status.links > 1)
        yield { kind: "present", within, name, status, unchanged, directory: undefined };
      continue;
    }
    if (depth === depthMax) throw new Error(`compare trees: more than ${depthMax} directories within each other`);
    yield* walkDirectory(within, name, status, { left, below }, reading, depth);
  }
}

function* walkDirectory(
  within: Directory,
  name: string,
  status: Status,
  { left, below }: { readonly left: number | undefined; readonly below: Status | undefined },
  reading: Reading,
  depth: number,
): Generator<Change, void, void> {
  const bytes = Buffer.from(name, "latin1");
  const descriptor = openIfAny(within.descriptor, bytes);
  if (descriptor === undefined) return;
  let leftDescriptor: number | undefined;
  try {
    const path = within.path === "" ? name : `${within.path}/${name}`;
    const attributes = layerAttributes(within.descriptor, bytes);
    const directory: Directory = { descriptor, path, status, parent: within, attributes, written: false };
    const opaque = reading.overlay && overlayMark(pathOf(within.descriptor, bytes)) === "opaque";
    const unchanged = below !== undefined && isSame(left!, below, within.descriptor, status, bytes);
    if (!unchanged) yield { kind: "present", within, name, status, unchanged, directory };
    if (below !== undefined && isDirectory(below.mode)) leftDescriptor = openIfAny(left!, bytes);
    yield* walk(directory, leftDescriptor, { ...reading, whole: reading.whole || opaque }, depth + 1);
  } finally {
    closeDescriptor(descriptor);
    if (leftDescriptor !== undefined) closeDescriptor(leftDescriptor);
  }
}

/** Undefined where it has vanished, or something is mounted on it, which is no part of the tree. */
function openIfAny(parent: number, name: Buffer): number | undefined {
  try {
    return openDirectory(parent, name);
  } catch (thrown) {
    if (["ENOENT", "ENOTDIR", "ELOOP", "EXDEV"].includes(errorCode(thrown) ?? "")) return undefined;
    throw thrown;
  }
}

function sorted(directory: number): string[] {
  return namesIn(directory)
    .map((name) => name.toString("latin1"))
    .sort();
}

function isWhiteout({ mode, rdev: [major, minor] }: Status): boolean {
  return (mode & constants.S_IFMT) === constants.S_IFCHR && major === 0 && minor === 0;
}

/** What overlayfs has noted on a file of an upper directory. @throws UpperUnreadable (kernel, filesystems/overlayfs.rst) */
function overlayMark(file: Buffer): "opaque" | undefined {
  const marks = listXattrs(file);
  for (const mark of ["redirect", "metacopy", "whiteout"])
    if (marks.includes(`trusted.overlay.${mark}`)) throw new UpperUnreadable(`'${file}' has overlayfs's mark ${mark}`);
  if (!marks.includes("trusted.overlay.opaque")) return undefined;
  const value = getXattr(file, "trusted.overlay.opaque")?.toString("latin1");
  if (value === "y") return "opaque";
  throw new UpperUnreadable(`'${file}' has overlayfs's mark opaque=${value}`);
}

function pathOf(directory: number, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), name]);
}

/** The attributes that a layer keeps: capabilities, and what users set themselves. By name. */
export function layerAttributes(directory: number, name: Buffer): Attribute[] {
  const file = pathOf(directory, name);
  const attributes: Attribute[] = [];
  for (const attribute of listXattrs(file).sort()) {
    if (attribute !== "security.capability" && !attribute.startsWith("user.")) continue;
    const value = getXattr(file, attribute);
    if (value !== undefined) attributes.push([Buffer.from(attribute).toString("latin1"), value]);
  }
  return attributes;
}

function isSame(leftDirectory: number, left: Status, rightDirectory: number, right: Status, name: Buffer): boolean {
  if (left.inode === right.inode && String(left.device) === String(right.device)) return true;
  if (left.mode !== right.mode || left.uid !== right.uid || left.gid !== right.gid) return false;
  if (left.rdev[0] !== right.rdev[0] || left.rdev[1] !== right.rdev[1]) return false;
  if (!isDirectory(left.mode) && (left.size !== right.size || left.mtime !== right.mtime)) return false;
  if (!sameAttributes(layerAttributes(leftDirectory, name), layerAttributes(rightDirectory, name))) return false;
  // A time of whole seconds may be all that was left of two that differ, so it proves nothing.
  if (isDirectory(left.mode) || left.mtime % nanosecondsPerSecond !== 0n) return true;
  switch (left.mode & constants.S_IFMT) {
    case constants.S_IFLNK:
      return readLinkAt(leftDirectory, name).equals(readLinkAt(rightDirectory, name));
    case constants.S_IFREG:
      return left.size === 0 || sameContent(leftDirectory, rightDirectory, name);
    default:
      return true;
  }
}

function sameAttributes(left: readonly Attribute[], right: readonly Attribute[]): boolean {
  return (
    left.length === right.length &&
    left.every(([name, value], index) => name === right[index]![0] && value.equals(right[index]![1]))
  );
}

const [leftBytes, rightBytes] = [Buffer.allocUnsafeSlow(compareBytes), Buffer.allocUnsafeSlow(compareBytes)];

function sameContent(leftDirectory: number, rightDirectory: number, name: Buffer): boolean {
  const opened: number[] = [];
  try {
    for (const directory of [leftDirectory, rightDirectory]) opened.push(openFile(directory, name));
    for (;;) {
      const read = readSync(opened[0]!, leftBytes, 0, compareBytes, null);
      if (readSync(opened[1]!, rightBytes, 0, compareBytes, null) !== read) return false;
      if (!leftBytes.subarray(0, read).equals(rightBytes.subarray(0, read))) return false;
      if (read === 0) return true;
    }
  } finally {
    for (const descriptor of opened) closeDescriptor(descriptor);
  }
}

/** Opens a regular file; it does not wait when the name has become a FIFO meanwhile. @throws KernelError */
export function openFile(directory: number, name: Buffer): number {
  return openAt(directory, name, constants.O_RDONLY | constants.O_NONBLOCK);
}
