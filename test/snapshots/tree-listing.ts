/** Describes a tree down to the last attribute, one line of text each, so that two trees can be compared. */
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { getXattr, listXattrs } from "../../src/platform/mod.ts";

/** What to leave out. */
export interface ListingOptions {
  /** Paths (latin1) whose times depend on when the test ran. */
  readonly withoutTimes?: readonly string[];
  readonly withoutXattrs?: boolean;
}

/** The tree below `root`, its own entry first; names as latin1. */
export function listTree(root: string, { withoutTimes = [], withoutXattrs = false }: ListingOptions = {}): string[] {
  const lines: string[] = [];
  const firstNames = new Map<bigint, string>();
  const visit = (path: Buffer, shown: string) => {
    const status = lstatSync(path, { bigint: true });
    const facts = [status.mode.toString(8), `${status.uid}:${status.gid}`];
    // A whiteout has no times of its own to keep.
    const whiteout = status.isCharacterDevice() && status.rdev === 0n;
    if (!whiteout && !withoutTimes.includes(shown)) facts.push(`mtime=${status.mtimeNs}`);
    if (status.isSymbolicLink()) facts.push(`-> ${readlinkSync(path, "latin1")}`);
    if (status.isCharacterDevice() || status.isBlockDevice()) facts.push(`dev=${status.rdev}`);
    if (status.isFile())
      facts.push(`${status.size}=${createHash("sha256").update(readFileSync(path)).digest("hex").slice(0, 16)}`);
    if (!status.isDirectory() && status.nlink > 1n) {
      const first = firstNames.get(status.ino);
      if (first === undefined) firstNames.set(status.ino, shown);
      facts.push(first === undefined ? "linked" : `same as ${first}`);
    }
    if (!withoutXattrs)
      for (const name of listXattrs(path).sort()) facts.push(`${name}=${getXattr(path, name)?.toString("hex")}`);
    lines.push(`${shown} ${facts.join(" ")}`);
    if (!status.isDirectory()) return;
    const names = readdirSync(path, { encoding: "buffer" }).sort(Buffer.compare);
    for (const name of names)
      visit(Buffer.concat([path, Buffer.from("/"), name]), `${shown}/${name.toString("latin1")}`);
  };
  visit(Buffer.from(root), ".");
  return lines;
}
