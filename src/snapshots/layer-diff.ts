/**
 * The difference of two trees as a layer: a tar whose entries are what an apply of it has to make, with `.wh.` names for what it has to
 * remove (OCI image-spec, layer.md). Owns which entries there are and what they say. After containerd's archive/tar.go (v1.6.20,
 * ChangeWriter): times are whole seconds, sockets are left out, the directories above an entry are entries too. Whiteouts have time 0, as
 * since containerd 2.0, so that the same two trees always give the same bytes.
 */
import { constants, readSync } from "node:fs";
import { closeDescriptor, readLinkAt, type Status } from "../platform/mod.ts";
import { endOfArchive, paddingAfter, type TarEntry, tarHeader } from "./tar-writer.ts";
import { type Change, type Directory, layerAttributes, openFile } from "./tree-changes.ts";

/** Bytes of the archive that are given out at a time. */
const pieceBytes = 256 * 1024;
const nanosecondsPerSecond = 1_000_000_000n;

type Present = Change & { readonly kind: "present" };

/**
 * The layer's bytes, in pieces of at most 256 KiB that each are a buffer of their own. `latest` bounds every time from above (seconds).
 * @throws KernelError, and Error with code EIO when a file changes its length while it is read
 */
export function* layerPieces(
  changes: Iterable<Change>,
  latest = Number.POSITIVE_INFINITY,
): Generator<Buffer, void, void> {
  const pieces = new Pieces();
  const writer = new LayerEntries(latest);
  for (const change of changes) {
    for (const { header, content } of writer.entriesFor(change)) {
      yield* pieces.add(header);
      if (content === undefined) continue;
      yield* pieces.addFile(content);
      yield* pieces.add(Buffer.alloc(paddingAfter(content.status.size)));
    }
  }
  yield* pieces.add(endOfArchive);
  yield* pieces.rest();
}

/** An entry's header, and the file whose content follows it. */
interface Entry {
  readonly header: Buffer;
  readonly content?: Present;
}

class LayerEntries {
  readonly #latest: number;
  /** First name in the archive of each file that has several. */
  readonly #names = new Map<string, string>();
  /** Names of unchanged files, which are links to be made anew if another name of the same file is written. Their directories may be closed by then. */
  readonly #unchanged = new Map<string, Present[]>();

  constructor(latest: number) {
    this.#latest = latest;
  }

  *entriesFor(change: Change): Generator<Entry, void, void> {
    if (change.kind === "removed") {
      yield* this.#parents(change.within);
      yield { header: tarHeader({ ...noFields, name: join(change.within, `.wh.${change.name}`) }) };
      return;
    }
    const { status, within, directory, unchanged } = change;
    if (type(status) === constants.S_IFSOCK) return;
    if (directory !== undefined) {
      yield* this.#parents(within);
      yield this.#directory(directory);
      return;
    }
    const linked = status.links > 1;
    const identity = `${status.device.join(":")}:${status.inode}`;
    const first = linked ? this.#names.get(identity) : undefined;
    if (first !== undefined) {
      yield* this.#parents(within);
      yield this.#link(change, first);
      return;
    }
    if (unchanged) {
      this.#unchanged.set(identity, [...(this.#unchanged.get(identity) ?? []), change]);
      return;
    }
    yield* this.#parents(within);
    const entry = this.#entry(change);
    yield { header: tarHeader(entry), ...(entry.flag === "0" && entry.size > 0 ? { content: change } : {}) };
    if (!linked) return;
    this.#names.set(identity, entry.name);
    for (const other of this.#unchanged.get(identity) ?? []) {
      yield* this.#parents(other.within);
      yield { header: tarHeader({ ...entry, ...linkTo(entry.name), name: join(other.within, other.name) }) };
    }
    this.#unchanged.delete(identity);
  }

  /** The directories above an entry, the root aside, unless they are in the archive already. */
  *#parents(directory: Directory): Generator<Entry, void, void> {
    if (directory.written) return;
    if (directory.parent !== undefined) yield* this.#parents(directory.parent);
    yield this.#directory(directory);
  }

  #directory(directory: Directory): Entry {
    directory.written = true;
    const { path, status, attributes } = directory;
    return { header: tarHeader({ ...this.#fields(status), flag: "5", name: `${path}/`, attributes }) };
  }

  #link(change: Present, first: string): Entry {
    return { header: tarHeader({ ...this.#entry(change), ...linkTo(first) }) };
  }

  #entry({ within, name, status }: Present): TarEntry {
    const bytes = Buffer.from(name, "latin1");
    const fields = {
      ...this.#fields(status),
      name: join(within, name),
      attributes: layerAttributes(within.descriptor, bytes),
    };
    switch (type(status)) {
      case constants.S_IFREG:
        return { ...fields, flag: "0", size: status.size };
      case constants.S_IFLNK:
        return { ...fields, flag: "2", linkName: readLinkAt(within.descriptor, bytes).toString("latin1") };
      case constants.S_IFCHR:
        return { ...fields, flag: "3", device: status.rdev };
      case constants.S_IFBLK:
        return { ...fields, flag: "4", device: status.rdev };
      default:
        return { ...fields, flag: "6" };
    }
  }

  #fields({ mode, uid, gid, mtime }: Status): Omit<TarEntry, "flag" | "name" | "attributes"> {
    const past = mtime % nanosecondsPerSecond < 0n ? 1n : 0n;
    const seconds = Number(mtime / nanosecondsPerSecond - past);
    return { ...noFields, mode: mode & 0o7777, uid, gid, mtime: Math.min(seconds, this.#latest) };
  }
}

const noFields: Omit<TarEntry, "name"> = {
  flag: "0",
  linkName: "",
  mode: 0,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0,
  device: [0, 0],
  attributes: [],
};

const linkTo = (linkName: string) => ({ flag: "1", linkName, size: 0 }) as const;
const type = ({ mode }: Status) => mode & constants.S_IFMT;
const join = ({ path }: Directory, name: string) => (path === "" ? name : `${path}/${name}`);

/** Gathers bytes until a piece is full. */
class Pieces {
  #piece = Buffer.allocUnsafeSlow(pieceBytes);
  #length = 0;

  *add(bytes: Buffer): Generator<Buffer, void, void> {
    for (let at = 0; at < bytes.length; ) {
      const copied = bytes.copy(this.#piece, this.#length, at);
      at += copied;
      yield* this.#took(copied);
    }
  }

  *addFile({ within, name, status: { size } }: Present): Generator<Buffer, void, void> {
    const file = openFile(within.descriptor, Buffer.from(name, "latin1"));
    try {
      for (let left = size; left > 0; ) {
        const read = readSync(file, this.#piece, this.#length, Math.min(left, pieceBytes - this.#length), null);
        if (read === 0) throw shorter(join(within, name));
        left -= read;
        yield* this.#took(read);
      }
    } finally {
      closeDescriptor(file);
    }
  }

  *rest(): Generator<Buffer, void, void> {
    if (this.#length > 0) yield this.#piece.subarray(0, this.#length);
  }

  *#took(length: number): Generator<Buffer, void, void> {
    this.#length += length;
    if (this.#length < pieceBytes) return;
    yield this.#piece;
    this.#piece = Buffer.allocUnsafeSlow(pieceBytes);
    this.#length = 0;
  }
}

const shorter = (path: string) =>
  Object.assign(new Error(`write layer: '${path}' became shorter while it was read`), { code: "EIO" });
