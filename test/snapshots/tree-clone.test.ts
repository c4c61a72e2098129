/** A copy of a tree holds all that the tree does, also what only overlayfs writes; by sharing where the file system can. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { getXattr, mount, setXattr, unmountAll } from "../../src/platform/mod.ts";
import { cloneTree } from "../../src/snapshots/tree-clone.ts";
import { lackingFor } from "../harness/loop.ts";
import { temporaryDirectory } from "../harness/temporary.ts";
import { listTree } from "./tree-listing.ts";

/** One of everything that an upper directory can hold. */
function fill(tree: string): void {
  mkdirSync(join(tree, "d", "deep"), { recursive: true });
  mkdirSync(join(tree, "opaque"));
  setXattr(join(tree, "opaque"), "trusted.overlay.opaque", Buffer.from("y"));
  writeFileSync(join(tree, "d", "file"), "content");
  writeFileSync(join(tree, "empty"), "");
  linkSync(join(tree, "d", "file"), join(tree, "d", "deep", "second-name"));
  symlinkSync("d/file", join(tree, "link"));
  setXattr(join(tree, "link"), "trusted.mark", Buffer.from("of a link"));
  linkSync(join(tree, "link"), join(tree, "link-again"));
  execFileSync("mknod", [join(tree, "whiteout"), "c", "0", "0"]);
  execFileSync("mknod", [join(tree, "null"), "c", "1", "3"]);
  execFileSync("mkfifo", [join(tree, "fifo")]);
  const sparse = openSync(join(tree, "sparse"), "w");
  writeSync(sparse, Buffer.alloc(4096, 1), 0, 4096, 0);
  writeSync(sparse, Buffer.alloc(4096, 2), 0, 4096, 8 * 1024 * 1024);
  ftruncateSync(sparse, 64 * 1024 * 1024);
  closeSync(sparse);
  writeFileSync(join(tree, "hole"), "");
  truncateSync(join(tree, "hole"), 1024 * 1024);
  chownSync(join(tree, "d", "file"), 1000, 1001);
  writeFileSync(join(tree, "capable"), "x");
  const capability = Buffer.from("0100000200040000000000000000000000000000", "hex");
  setXattr(join(tree, "capable"), "security.capability", capability);
  setXattr(join(tree, "capable"), "user.note", Buffer.from([0, 1, 2]));
  writeFileSync(join(tree, "set-uid"), "x");
  chownSync(join(tree, "set-uid"), 7, 7);
  chmodSync(join(tree, "set-uid"), 0o4751);
  writeFileSync(Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0x6e, 0xff, 0xfe])]), "no UTF-8");
  chmodSync(join(tree, "d"), 0o1770);
  utimesSync(join(tree, "d"), 1_000_000_000, 1_000_000_001.5);
  utimesSync(tree, 5, 6);
}

function checkCopy(source: string, copy: string): void {
  assert.deepEqual(listTree(copy), listTree(source));
  const [a, b] = ["d/file", "d/deep/second-name"].map((name) => statSync(join(copy, name)));
  assert.equal(a!.ino, b!.ino, "hard links stay links");
  assert.equal(lstatSync(join(copy, "link")).ino, lstatSync(join(copy, "link-again")).ino);
  assert.notEqual(a!.ino, statSync(join(source, "d", "file")).ino);
  assert.ok(statSync(join(copy, "sparse")).blocks <= statSync(join(source, "sparse")).blocks, "holes stay holes");
  assert.equal(statSync(join(copy, "hole")).blocks, 0);
  assert.deepEqual(readFileSync(join(copy, "sparse")), readFileSync(join(source, "sparse")));
  assert.equal(getXattr(join(copy, "opaque"), "trusted.overlay.opaque")?.toString(), "y");
  assert.equal(getXattr(join(copy, "link"), "trusted.mark")?.toString(), "of a link");
  for (const name of ["capable", "set-uid"])
    assert.equal(statSync(join(copy, name)).mode, statSync(join(source, name)).mode);
  assert.ok(getXattr(join(copy, "capable"), "security.capability") !== undefined);
  assert.equal(statSync(join(copy, "d")).mtimeMs, statSync(join(source, "d")).mtimeMs);
  assert.equal(statSync(copy).mtimeMs, 6000);
}

test("a copy holds links, holes, devices, attributes, owners, modes and times, and the marks of overlayfs", async (t) => {
  const work = await temporaryDirectory(t);
  const source = join(work, "source");
  mkdirSync(source);
  fill(source);
  const { sharedBytes, copiedBytes } = cloneTree(source, { within: work, name: "copy" }, () => {});
  checkCopy(source, join(work, "copy"));
  assert.ok(sharedBytes + copiedBytes >= 8192 + 7 && sharedBytes + copiedBytes < 1024 * 1024, "only data counts");
});

test("a file system that can shares the blocks, and a change of either is not seen in the other", async (t) => {
  const lacking = lackingFor("mkfs.xfs");
  if (lacking !== undefined) return t.skip(lacking);
  const work = await temporaryDirectory(t);
  const image = join(work, "image");
  writeFileSync(image, "");
  truncateSync(image, 320 * 1024 * 1024);
  execFileSync("mkfs.xfs", ["-q", "-m", "reflink=1", image]);
  const root = join(work, "mounted");
  mkdirSync(root);
  execFileSync("mount", ["-o", "loop", image, root]);
  try {
    const source = join(root, "source");
    mkdirSync(source);
    fill(source);
    writeFileSync(join(source, "large"), Buffer.alloc(32 * 1024 * 1024, 7));
    utimesSync(source, 5, 6);
    const { sharedBytes, copiedBytes } = cloneTree(source, { within: root, name: "copy" }, () => {});
    assert.equal(copiedBytes, 0);
    assert.ok(sharedBytes >= 32 * 1024 * 1024);
    checkCopy(source, join(root, "copy"));
    writeFileSync(join(source, "large"), "changed", { flag: "r+" });
    assert.equal(readFileSync(join(root, "copy", "large"))[0], 7);
  } finally {
    execFileSync("umount", [root]);
  }
});

test("what is mounted within a tree is no part of it", async (t) => {
  const work = await temporaryDirectory(t);
  mkdirSync(join(work, "source", "covered"), { recursive: true });
  mount({ type: "tmpfs", source: "tmpfs", options: [] }, join(work, "source", "covered"));
  try {
    writeFileSync(join(work, "source", "covered", "secret"), "");
    cloneTree(join(work, "source"), { within: work, name: "copy" }, () => {});
  } finally {
    await unmountAll(join(work, "source", "covered"));
  }
  assert.deepEqual(listTree(join(work, "copy")).length, listTree(join(work, "source")).length);
});

test("a copy ends when nobody waits for it any more", async (t) => {
  const work = await temporaryDirectory(t);
  mkdirSync(join(work, "source"));
  for (const name of ["a", "b", "c"]) writeFileSync(join(work, "source", name), "");
  let names = 0;
  const goOn = () => {
    if (++names === 2) throw new Error("enough");
  };
  assert.throws(() => cloneTree(join(work, "source"), { within: work, name: "copy" }, goOn), /enough/);
});
