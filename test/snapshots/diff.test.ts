import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { constants } from "node:fs";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { makeNodeAt, type MountDescription, setXattr, withTemporaryMount } from "../../src/platform/mod.ts";
import { readOnly, upperOf } from "../../src/snapshots/diff.ts";
import {
  applyLayer,
  openOverlayfs,
  type LocalSnapshotter,
  SnapshotWorkers,
  writeDiff,
} from "../../src/snapshots/mod.ts";
import { listTree } from "./tree-listing.ts";

const AT_FDCWD = -100;
const layer = "application/vnd.oci.image.layer.v1.tar";
const workers = new SnapshotWorkers(2);
let work: string;
let snapshotter: LocalSnapshotter;
let serial = 0;

before(async () => {
  work = mkdtempSync(join(tmpdir(), "shiplog-diff-"));
  snapshotter = await openOverlayfs({ root: join(work, "overlayfs"), workers });
});
after(async () => {
  await workers.close();
  rmSync(work, { recursive: true });
});

/** What somebody does in a tree. Paths are of few names, so that the doings meet. */
interface Doing {
  readonly what: (typeof doings)[number];
  readonly path: string;
  readonly other: string;
  readonly number: number;
}
const doings = [
  "write",
  "mkdir",
  "remove",
  "renew",
  "symlink",
  "link",
  "rename",
  "device",
  "fifo",
  "chmod",
  "chown",
  "touch",
  "xattr",
] as const;

const path = fc
  .array(fc.constantFrom("a", "b", "\xe9", "a.b"), { minLength: 1, maxLength: 3 })
  .map((names) => names.join("/"));
const doing: fc.Arbitrary<Doing> = fc.record({
  what: fc.constantFrom(...doings, "write", "mkdir"),
  path,
  other: path,
  number: fc.integer({ min: 0, max: 3 }),
});

/** Does what can be done; what the kernel refuses, as a file in a file, leaves the tree as it was. */
function perform(root: string, { what, path: name, other, number }: Doing): unknown {
  const target = join(root, name);
  try {
    switch (what) {
      case "write":
        // A device or FIFO must not be opened, nor what a link leads to.
        if (lstatSync(target, { throwIfNoEntry: false })?.isFile() === false) return undefined;
        return writeFileSync(target, "x".repeat(number * 1000));
      case "mkdir":
        return mkdirSync(target, { recursive: true });
      case "remove":
        return rmSync(target, { recursive: true });
      case "renew":
        rmSync(target, { recursive: true });
        return mkdirSync(target);
      case "symlink":
        return symlinkSync(`to-${number}`, target);
      case "link":
        return linkSync(join(root, other), target);
      case "rename":
        return renameSync(join(root, other), target);
      case "device":
        return makeNodeAt(AT_FDCWD, target, constants.S_IFCHR | 0o600, [1, number === 0 ? 3 : 5]);
      case "fifo":
        return makeNodeAt(AT_FDCWD, target, constants.S_IFIFO | 0o600, [0, 0]);
      case "chmod":
        return lstatSync(target).isSymbolicLink()
          ? undefined
          : chmodSync(target, [0o644, 0o755, 0o4711, 0o1700][number]!);
      case "chown":
        return lstatSync(target).isSymbolicLink() ? undefined : chownSync(target, number, number);
      case "touch":
        return lutimesSync(target, 1_000_000_000 + number, 1_000_000_000 + number / 2);
      case "xattr":
        return setXattr(target, `user.k${number}`, Buffer.from([0, number, 10]));
      default:
        return what satisfies never;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    return undefined;
  }
}

const newId = () => `s${serial++}`;

async function shown(mounts: readonly MountDescription[]): Promise<string[]> {
  const lines = await withTemporaryMount(readOnly(mounts), work, async (root) => listTree(root));
  // A directory's time changes with what is made in it, and a layer has whole seconds.
  return lines.map((line) =>
    line.replace(/^(\S+ 4\d{4} .*?) mtime=\d+/, "$1").replace(/mtime=(-?\d+)\d{9}/, "mtime=$1"),
  );
}

async function diff(
  left: readonly MountDescription[],
  right: readonly MountDescription[],
  compression: "none" | "gzip" | "zstd" = "none",
) {
  let pieces: Uint8Array[] = [];
  const sink = {
    append: async (bytes: Uint8Array) => void pieces.push(bytes),
    truncate: async () => {
      pieces = [];
    },
  };
  const diffId = await writeDiff({ left, right, compression }, async () => sink, { workers, temporary: work });
  return { diffId, bytes: Buffer.concat(pieces) };
}

/** The same mounts with an option that means nothing and is not known: they have to be walked. */
const walked = (mounts: readonly MountDescription[]) =>
  mounts.map((mount) => ({ ...mount, options: [...mount.options, "xino=off"] }));

async function applied(bytes: Buffer, mediaType: string, parents: string[]): Promise<{ id: string; diffId: string }> {
  const id = newId();
  await snapshotter.create(id, "active", parents);
  const source = (async function* () {
    yield bytes;
  })();
  const { digest } = await applyLayer(
    { source, mediaType, mounts: snapshotter.mounts(id, "active", parents) },
    { workers, temporary: work },
  );
  return { id, diffId: digest };
}

/** A base layer, a layer on it, and a snapshot on both, each with something done in it. */
async function stack(layers: readonly (readonly Doing[])[]): Promise<string[]> {
  const parents: string[] = [];
  for (const done of layers) {
    const id = newId();
    await snapshotter.create(id, "active", parents);
    await withTemporaryMount(snapshotter.mounts(id, "active", parents), work, async (root) => {
      for (const one of done) perform(root, one);
    });
    parents.unshift(id);
  }
  return parents;
}

test("a diff applied to the left tree gives the right one, and both forms are the same bytes", async () => {
  const doingsOf = (maxLength: number) => fc.array(doing, { minLength: 4, maxLength });
  await fc.assert(
    fc.asyncProperty(doingsOf(25), doingsOf(10), doingsOf(15), async (...layers) => {
      const [top, ...parents] = await stack(layers);
      const left = snapshotter.mounts(newId(), "view", parents);
      const right = snapshotter.mounts(top!, "active", parents);
      assert.notEqual(upperOf(left, right), undefined);
      const upper = await diff(left, right);
      const trees = await diff(left, walked(right));
      assert.deepEqual(upper.bytes, trees.bytes);
      const made = await applied(upper.bytes, layer, parents);
      assert.equal(made.diffId, upper.diffId);
      assert.deepEqual(await shown(snapshotter.mounts(made.id, "active", parents)), await shown(right));
      const committed = await diff(left, snapshotter.mounts(newId(), "view", [top!, ...parents]));
      assert.deepEqual(committed.bytes, upper.bytes);
    }),
    { numRuns: 25 },
  );
});

test("a diff from nothing is the whole tree, in every compression", async () => {
  const at = (what: Doing["what"], name: string, other = "", number = 2): Doing => ({
    what,
    path: name,
    other,
    number,
  });
  const [base] = await stack([
    [at("mkdir", "a/b"), at("write", "a/b/c"), at("link", "z", "a/b/c"), at("xattr", "z"), at("symlink", "s")],
  ]);
  const right = snapshotter.mounts(base!, "active", []);
  for (const [compression, suffix] of [
    ["none", ""],
    ["gzip", "+gzip"],
    ["zstd", "+zstd"],
  ] as const) {
    const { bytes, diffId } = await diff([], right, compression);
    const made = await applied(bytes, layer + suffix, []);
    assert.equal(made.diffId, diffId);
    assert.deepEqual(await shown(snapshotter.mounts(made.id, "active", [])), await shown(right));
  }
});

test("an upper directory that only overlayfs can read is walked instead", async () => {
  const [top, ...parents] = await stack([
    [{ what: "write", path: "a", other: "", number: 1 }],
    [{ what: "mkdir", path: "b", other: "", number: 1 }],
  ]);
  const right = snapshotter.mounts(top!, "active", parents);
  const left = snapshotter.mounts(newId(), "view", parents);
  const before = await diff(left, right);
  setXattr(join(upperOf(left, right)!, "b"), "trusted.overlay.redirect", Buffer.from("/nowhere"));
  assert.deepEqual((await diff(left, right)).bytes.length, before.bytes.length);
});

test("a socket is left out, and a file that is a piece and more long is whole", async () => {
  const [base] = await stack([[]]);
  const right = snapshotter.mounts(base!, "active", []);
  writeFileSync(join(right[0]!.source, "large"), Buffer.alloc(700_001, "l"));
  const server = createServer().listen(join(right[0]!.source, "socket"));
  await new Promise((resolve) => server.once("listening", resolve));
  const { bytes } = await diff([], right);
  await new Promise((resolve) => server.close(resolve));
  const made = await applied(bytes, layer, []);
  const lines = await shown(snapshotter.mounts(made.id, "active", []));
  assert.deepEqual([lines.length, lines[1]!.includes(" 700001=")], [2, true]);
});
