/**
 * Header blocks of a tar archive as layers have them: ustar, with an extended header (POSIX.1-2001 pax) before an entry that does not fit.
 * Owns the layout of what is written; what goes into an archive, and in which order, is its caller's. Text is latin1, one character a byte.
 */
import { blockBytes } from "./tar-header.ts";

/** One entry. `flag` is ustar's: 0 file, 1 hard link, 2 symbolic link, 3 and 4 devices, 5 directory, 6 FIFO. */
export interface TarEntry {
  readonly flag: "0" | "1" | "2" | "3" | "4" | "5" | "6";
  /** A directory's ends in a slash. */
  readonly name: string;
  readonly linkName: string;
  /** Permission bits with set-id and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content that follow the header. */
  readonly size: number;
  /** Whole seconds since 1970. */
  readonly mtime: number;
  readonly device: readonly [major: number, minor: number];
  readonly attributes: readonly Attribute[];
}

export type Attribute = readonly [name: string, value: Buffer];

/** What ends an archive. */
export const endOfArchive = Buffer.alloc(2 * blockBytes);

/** Bytes from the end of `size` bytes of content to the next header. */
export function paddingAfter(size: number): number {
  return (blockBytes - (size % blockBytes)) % blockBytes;
}

/** The header of an entry, with the extended header before it where one is needed. */
export function tarHeader(entry: TarEntry): Buffer {
  const records: Attribute[] = [];
  const text = (key: string, value: string) => {
    // Names that are not ASCII are told apart from a platform's own encoding only in an extended header.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the bytes that ASCII has
    if (value.length > 100 || /[^\x00-\x7f]/.test(value)) records.push([key, Buffer.from(value, "latin1")]);
  };
  const number = (key: string, value: number, digits: number) => {
    if (value >= 0 && value < 8 ** digits) return value;
    records.push([key, Buffer.from(String(value))]);
    return 0;
  };
  text("path", entry.name);
  text("linkpath", entry.linkName);
  const fields = {
    ...entry,
    uid: number("uid", entry.uid, 7),
    gid: number("gid", entry.gid, 7),
    size: number("size", entry.size, 11),
    mtime: number("mtime", entry.mtime, 11),
  };
  for (const [name, value] of entry.attributes) records.push([`SCHILY.xattr.${name}`, value]);
  const own = block(fields);
  if (records.length === 0) return own;
  const payload = Buffer.concat(records.map(record));
  const extended = block({
    flag: "x",
    name: "PaxHeaders.0/entry",
    linkName: "",
    mode: 0,
    uid: 0,
    gid: 0,
    size: payload.length,
    mtime: 0,
    device: [0, 0],
  });
  return Buffer.concat([extended, payload, Buffer.alloc(paddingAfter(payload.length)), own]);
}

/** `<length> <key>=<value>\n`, the length counting its own digits. */
function record([key, value]: Attribute): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`, "latin1"), value, Buffer.from("\n")]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

type Fields = Omit<TarEntry, "flag" | "attributes"> & { readonly flag: TarEntry["flag"] | "x" };

function block({ flag, name, linkName, mode, uid, gid, size, mtime, device: [major, minor] }: Fields): Buffer {
  const header = Buffer.alloc(blockBytes);
  header.write(name.slice(0, 100), 0, "latin1");
  octal(header, 100, 8, mode);
  octal(header, 108, 8, uid);
  octal(header, 116, 8, gid);
  octal(header, 124, 12, size);
  octal(header, 136, 12, mtime);
  header.write(flag, 156, "latin1");
  header.write(linkName.slice(0, 100), 157, "latin1");
  header.write("ustar\x0000", 257, "latin1");
  octal(header, 329, 8, major);
  octal(header, 337, 8, minor);
  header.fill(0x20, 148, 156);
  let sum = 0;
  for (const byte of header) sum += byte;
  octal(header, 148, 7, sum);
  return header;
}

function octal(header: Buffer, at: number, length: number, value: number): void {
  header.write(value.toString(8).padStart(length - 1, "0"), at, length - 1, "latin1");
}
