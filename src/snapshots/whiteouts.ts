/**
 * Deletions in a layer (OCI image-spec, layer.md): `.wh.NAME` hides NAME of the layers below, `.wh..wh..opq` everything that the directory
 * holds below. Owns the two ways of carrying them out: as overlayfs marks them in an upper directory, and by deleting for real. Both apply
 * to the layers below only: what this layer itself brought stays, in whatever order the archive has them.
 */
import { constants } from "node:fs";
import {
  changeOwnerAt,
  closeDescriptor,
  errorCode,
  makeNodeAt,
  setXattr,
  type Status,
  statusAt,
  statusIfAny,
} from "../platform/mod.ts";
import { bytes, directoryPath, type LayerDirectory } from "./layer-directories.ts";
import { isDirectory, namesIn, openDirectory, removeTree } from "./tree.ts";

const prefix = ".wh.";
const reservedPrefix = ".wh..wh.";
const opaqueName = ".wh..wh..opq";

/** What an entry's path says about deletion; `reserved` names are bookkeeping of other tools and stand for nothing. */
export type WhiteoutName =
  | { kind: "none" }
  | { kind: "reserved" }
  | { kind: "invalid" }
  | { kind: "opaque" }
  | { kind: "hide"; name: string };

/** Reads the last name of a clean path, and that no name on the way is reserved. */
export function whiteoutName(directory: string, name: string): WhiteoutName {
  if (directory.split("/").some((part) => part.startsWith(reservedPrefix))) return { kind: "reserved" };
  if (name === opaqueName) return { kind: "opaque" };
  if (name.startsWith(reservedPrefix)) return { kind: "reserved" };
  if (!name.startsWith(prefix)) return { kind: "none" };
  const hidden = name.slice(prefix.length);
  return hidden === "" || hidden === "." || hidden === ".." ? { kind: "invalid" } : { kind: "hide", name: hidden };
}

/** How deletions are carried out. */
export interface Whiteouts {
  /** `NAME` of the layers below is gone; `owner` is that of the archive's entry. @throws KernelError */
  hide(directory: LayerDirectory, name: string, owner: { uid: number; gid: number }): void;
  /** All that `directory` holds of the layers below is gone. @throws KernelError */
  makeOpaque(directory: LayerDirectory): void;
  /** Notes what this layer brings, before any of it can be asked about. */
  brought(directory: LayerDirectory, name: string): void;
  /** True when a directory that takes the place of `replaced` must not show what the layers below have there. */
  hides(replaced: Status): boolean;
}

/** overlayfs's marks: a character device 0:0 hides a name, an attribute makes a directory opaque (kernel, filesystems/overlayfs.rst). */
export const overlayWhiteouts: Whiteouts = {
  hide(directory, name, owner) {
    try {
      makeNodeAt(directory.descriptor, bytes(name), constants.S_IFCHR, [0, 0]);
      changeOwnerAt(directory.descriptor, bytes(name), owner.uid, owner.gid);
    } catch (thrown) {
      if (errorCode(thrown) !== "EEXIST") throw thrown;
      // This layer's own file hides the name already; its own directory would be merged with the one below.
      if (!isDirectory(statusAt(directory.descriptor, bytes(name)).mode)) return;
      const own = openDirectory(directory.descriptor, bytes(name));
      markOpaque(own);
      closeDescriptor(own);
    }
  },
  makeOpaque(directory) {
    markOpaque(directory.descriptor);
  },
  brought() {},
  hides(replaced) {
    return (replaced.mode & constants.S_IFMT) === constants.S_IFCHR && replaced.rdev[0] === 0 && replaced.rdev[1] === 0;
  },
};

function markOpaque(directory: number): void {
  setXattr(directoryPath(directory), "trusted.overlay.opaque", Buffer.from("y"));
}

/** Real deletion, for a tree that holds the layers below merged with this one. Remembers each name that this layer brought. */
export class DeletingWhiteouts implements Whiteouts {
  readonly #brought = new Set<string>();
  readonly #removed: () => void;

  /** `removed` is called when a directory or link may have gone. */
  constructor(removed: () => void) {
    this.#removed = removed;
  }

  hide(directory: LayerDirectory, name: string): void {
    this.#remove(directory, bytes(name));
    this.#removed();
  }

  makeOpaque(directory: LayerDirectory): void {
    for (const name of namesIn(directory.descriptor)) this.#remove(directory, name);
    this.#removed();
  }

  brought(directory: LayerDirectory, name: string): void {
    this.#brought.add(key(directory, name));
  }

  hides(): boolean {
    return false;
  }

  /** Removes what is of the layers below; true when something of this layer was there and stays. */
  #remove(directory: LayerDirectory, name: Buffer): boolean {
    const status = statusIfAny(directory.descriptor, name);
    if (status === undefined) return false;
    let stays = this.#brought.has(key(directory, name.toString("latin1")));
    if (isDirectory(status.mode)) {
      const descriptor = openDirectory(directory.descriptor, name);
      try {
        for (const child of namesIn(descriptor))
          if (this.#remove({ descriptor, inode: status.inode }, child)) stays = true;
      } finally {
        closeDescriptor(descriptor);
      }
    }
    if (!stays) removeTree(directory.descriptor, name);
    return stays;
  }
}

function key(directory: LayerDirectory, name: string): string {
  return `${directory.inode}/${name}`;
}
