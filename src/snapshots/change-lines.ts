/** What differs between two trees as lines of JSON, for people to read and programs to count: no content, only names. */
import { closeSync, constants, openSync } from "node:fs";
import { closeDescriptor, errorCode, standIn } from "../platform/mod.ts";
import { type Change, treeChanges } from "./tree-changes.ts";

/** One name that differs. Paths begin at the tree's root, without a slash; bytes that are no UTF-8 are replaced. */
export interface ListedChange {
  readonly path: string;
  readonly kind: "added" | "modified" | "deleted";
  /** Of the right tree's; 0 for what is deleted. Bytes. */
  readonly size: number;
  readonly mode: number;
}

/** Bytes of a piece, as long as that is more than one line. */
const pieceBytes = 64 * 1024;

/** Pieces of whole lines. @throws KernelError */
export function* changeLines(left: string, right: string): Generator<Buffer, void, void> {
  const root = openSync(left, constants.O_RDONLY | constants.O_DIRECTORY);
  let text = "";
  try {
    for (const change of treeChanges(left, right)) {
      const listed = listedChange(change, root);
      if (listed === undefined) continue;
      text += `${JSON.stringify(listed)}\n`;
      if (text.length < pieceBytes) continue;
      yield Buffer.from(text);
      text = "";
    }
    if (text !== "") yield Buffer.from(text);
  } finally {
    closeSync(root);
  }
}

function listedChange(change: Change, left: number): ListedChange | undefined {
  const bytes = change.within.path === "" ? change.name : `${change.within.path}/${change.name}`;
  const name = Buffer.from(bytes, "latin1");
  const path = name.toString();
  if (change.kind === "removed") return { path, kind: "deleted", size: 0, mode: 0 };
  if (change.unchanged) return undefined;
  const { size, mode } = change.status;
  const isDirectory = change.directory !== undefined;
  return { path, kind: isThere(left, name) ? "modified" : "added", size: isDirectory ? 0 : size, mode };
}

function isThere(root: number, path: Buffer): boolean {
  try {
    closeDescriptor(standIn(root, path, { noLinks: true }));
    return true;
  } catch (thrown) {
    const code = errorCode(thrown);
    if (code === "ENOENT" || code === "ENOTDIR") return false;
    // The name is a symbolic link.
    if (code === "ELOOP") return true;
    throw thrown;
  }
}
