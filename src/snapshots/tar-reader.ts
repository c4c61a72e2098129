/**
 * Reads a tar archive as it arrives: bytes are pushed in, entries and their contents come out by calls, at once and in order. Owns the
 * framing and the extended headers that change the entry after them. Holds no more than one header and one bounded extended header.
 * Behaviour where dialects differ is that of Go's archive/tar, which containerd reads layers with.
 */
import { LayerInvalid } from "./layer-errors.ts";
import { paxNumber, type PaxRecords, parsePaxRecords, paxText, paxTimeNs, paxXattrs } from "./pax.ts";
import { blockBytes, isZeroBlock, parseTarHeader, TarFieldError, type TarHeader } from "./tar-header.ts";

export const EntryType = {
  file: "file",
  hardLink: "hardLink",
  symbolicLink: "symbolicLink",
  characterDevice: "characterDevice",
  blockDevice: "blockDevice",
  directory: "directory",
  fifo: "fifo",
} as const;
export type EntryType = (typeof EntryType)[keyof typeof EntryType];

/** One member of an archive. Names are latin1 strings, one character a byte. */
export interface TarEntry {
  readonly type: EntryType;
  readonly name: string;
  /** Target of a link; empty for other types. */
  readonly linkName: string;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  /** As chown takes them: 32 bits, unsigned. */
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content; zero for all but files. */
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  /** Absent where the archive does not say. */
  readonly atime?: bigint;
  readonly device: readonly [major: number, minor: number];
  /** Names are latin1 strings. */
  readonly xattrs: readonly (readonly [name: string, value: Buffer])[];
  /** Byte of the archive that its first header block stood at. */
  readonly offset: number;
}

/** Who takes the entries. Each entry is followed by its content in any number of pieces and then by its end. */
export interface TarSink {
  entry(entry: TarEntry): void;
  /** A view of the reader's input: it must be used before the call returns. */
  content(piece: Buffer): void;
  entryEnd(): void;
}

/** As Go's reader: an extended header is a few attributes, not a place to hide a file. */
const extendedHeaderBytesMax = 1024 * 1024;
/** Image layers of a million files exist; far more is an attack on memory and time. */
const entriesMax = 16_000_000;

const typesByFlag: Readonly<Record<string, EntryType>> = {
  "0": EntryType.file,
  "\0": EntryType.file,
  "1": EntryType.hardLink,
  "2": EntryType.symbolicLink,
  "3": EntryType.characterDevice,
  "4": EntryType.blockDevice,
  "5": EntryType.directory,
  "6": EntryType.fifo,
};

type Phase = "header" | "extended" | "content" | "padding" | "over";

export class TarReader {
  readonly #sink: TarSink;
  #phase: Phase = "header";
  /** Bytes of the archive consumed so far. */
  #offset = 0;
  readonly #block: Buffer = Buffer.alloc(blockBytes);
  #blockFill = 0;
  /** Bytes left of the content or extended header being read, and of the padding after it. */
  #left = 0;
  #padding = 0;
  #entries = 0;
  #zeroBlocks = 0;
  /** Offset of the first header block of the entry being put together: an extended header belongs to what follows it. */
  #entryOffset: number | undefined;
  #extendedFlag = "";
  #extended: Buffer = Buffer.alloc(0);
  #records: PaxRecords = new Map();
  #longName: string | undefined;
  #longLink: string | undefined;

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  /** Takes the next bytes of the archive. @throws LayerInvalid, and whatever the sink throws */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      const rest = chunk.length - at;
      switch (this.#phase) {
        case "over":
          this.#offset += rest;
          return;
        case "header":
          at += this.#takeHeader(chunk, at, rest);
          break;
        case "padding": {
          const skipped = Math.min(this.#padding, rest);
          this.#padding -= skipped;
          at += skipped;
          this.#offset += skipped;
          if (this.#padding === 0) this.#phase = "header";
          break;
        }
        case "extended":
        case "content": {
          const piece = chunk.subarray(at, at + Math.min(this.#left, rest));
          this.#takePiece(piece);
          at += piece.length;
          break;
        }
        default:
          this.#phase satisfies never;
      }
    }
  }

  /** Says that no more bytes will come. An archive may end without its two blocks of zeros, but not within an entry. @throws LayerInvalid */
  end(): void {
    const cut =
      this.#phase === "content" ||
      this.#phase === "extended" ||
      this.#phase === "padding" ||
      this.#blockFill > 0 ||
      this.#entryOffset !== undefined;
    if (cut) throw new LayerInvalid("the archive ends within an entry", this.#offset);
  }

  #takeHeader(chunk: Buffer, at: number, rest: number): number {
    const taken = Math.min(blockBytes - this.#blockFill, rest);
    let block = this.#block;
    if (this.#blockFill === 0 && taken === blockBytes) block = chunk.subarray(at, at + blockBytes);
    else chunk.copy(this.#block, this.#blockFill, at, at + taken);
    this.#blockFill += taken;
    this.#offset += taken;
    if (this.#blockFill < blockBytes) return taken;
    this.#blockFill = 0;
    this.#header(block);
    return taken;
  }

  #header(block: Buffer): void {
    const offset = this.#offset - blockBytes;
    if (isZeroBlock(block)) {
      if (this.#entryOffset !== undefined) throw new LayerInvalid("the archive ends after an extended header", offset);
      if (++this.#zeroBlocks === 2) this.#phase = "over";
      return;
    }
    if (this.#zeroBlocks > 0) throw new LayerInvalid("a single block of zeros stands between entries", offset);
    this.#entryOffset ??= offset;
    const header = this.#field(() => parseTarHeader(block));
    if (header.size < 0) throw new LayerInvalid("size is negative", offset);
    switch (header.flag) {
      case "x":
      case "g":
      case "L":
      case "K":
        if (header.size > extendedHeaderBytesMax)
          throw new LayerInvalid(`extended header of ${header.size} bytes`, offset);
        this.#extendedFlag = header.flag;
        this.#extended = Buffer.alloc(header.size);
        this.#begin("extended", header.size);
        return;
      default:
        this.#entry(header, this.#entryOffset);
    }
  }

  #entry(header: TarHeader, offset: number): void {
    if (++this.#entries > entriesMax) throw new LayerInvalid(`more than ${entriesMax} entries`, offset);
    const entry = this.#field(() => this.#described(header, offset));
    this.#records = new Map();
    this.#longName = this.#longLink = undefined;
    this.#entryOffset = undefined;
    this.#sink.entry(entry);
    this.#begin("content", entry.size);
  }

  #described(header: TarHeader, offset: number): TarEntry {
    const records = this.#records;
    for (const key of records.keys())
      if (key.startsWith("GNU.sparse.")) throw new TarFieldError("sparse files are not supported");
    if (header.flag === "S") throw new TarFieldError("sparse files are not supported");
    let type = typesByFlag[header.flag];
    if (type === undefined) throw new TarFieldError(`type ${JSON.stringify(header.flag)} is not supported`);
    const name = this.#longName ?? paxText(records, "path") ?? header.name;
    const linkName = this.#longLink ?? paxText(records, "linkpath") ?? header.linkName;
    // The oldest archives have no type for directories but a slash at the end of the name.
    if (header.flag === "\0" && name.endsWith("/")) type = EntryType.directory;
    const size = paxNumber(records, "size") ?? header.size;
    if (size < 0) throw new TarFieldError("size is negative");
    const atime = paxTimeNs(records, "atime");
    return {
      type,
      name,
      linkName: type === EntryType.hardLink || type === EntryType.symbolicLink ? linkName : "",
      mode: header.mode & 0o7777,
      uid: owner(paxNumber(records, "uid") ?? header.uid, "uid"),
      gid: owner(paxNumber(records, "gid") ?? header.gid, "gid"),
      // All but files are headers only, whatever size they state.
      size: type === EntryType.file ? size : 0,
      mtime: paxTimeNs(records, "mtime") ?? BigInt(header.mtime) * 1_000_000_000n,
      ...(atime === undefined ? {} : { atime }),
      device: header.device,
      xattrs: paxXattrs(records),
      offset,
    };
  }

  #begin(phase: "content" | "extended", size: number): void {
    this.#phase = phase;
    this.#left = size;
    this.#padding = (blockBytes - (size % blockBytes)) % blockBytes;
    if (size === 0) this.#finish();
  }

  #takePiece(piece: Buffer): void {
    if (this.#phase === "content") this.#sink.content(piece);
    else piece.copy(this.#extended, this.#extended.length - this.#left);
    this.#left -= piece.length;
    this.#offset += piece.length;
    if (this.#left === 0) this.#finish();
  }

  #finish(): void {
    const phase = this.#phase;
    this.#phase = this.#padding > 0 ? "padding" : "header";
    if (phase === "content") this.#sink.entryEnd();
    else this.#extendedHeader();
  }

  /** Global records are read and then let go, as containerd does: what they would change, it does not change either. */
  #extendedHeader(): void {
    const payload = this.#extended;
    switch (this.#extendedFlag) {
      case "x":
        this.#records = this.#field(() => parsePaxRecords(payload));
        break;
      case "g":
        this.#field(() => parsePaxRecords(payload));
        this.#entryOffset = undefined;
        break;
      case "L":
        this.#longName = untilNul(payload);
        break;
      case "K":
        this.#longLink = untilNul(payload);
        break;
    }
  }

  #field<T>(read: () => T): T {
    try {
      return read();
    } catch (thrown) {
      if (!(thrown instanceof TarFieldError)) throw thrown;
      throw new LayerInvalid(thrown.message, this.#entryOffset ?? this.#offset, { cause: thrown });
    }
  }
}

function untilNul(payload: Buffer): string {
  const end = payload.indexOf(0);
  return payload.toString("latin1", 0, end < 0 ? payload.length : end);
}

/** Owners are 32 bits to the kernel; archives write some of the high ones as negative numbers. */
function owner(id: number, field: string): number {
  if (id < -0x80000000 || id > 0xffffffff) throw new TarFieldError(`${field} is out of range`);
  return id >>> 0;
}
