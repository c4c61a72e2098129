/**
 * The 512-byte header block of a tar archive, in every dialect that layers come in: v7, ustar (POSIX.1-1988), star, GNU. Reads fields and
 * nothing more: extended headers, which override them, are the reader's. Text is kept as latin1 strings, one character a byte, because
 * names in a tar are bytes of no particular encoding.
 */

export const blockBytes = 512;

/** The fields of one header block. */
export interface TarHeader {
  /** The type flag as a character; `\0` for the oldest archives' regular files. */
  readonly flag: string;
  readonly name: string;
  readonly linkName: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Whole seconds since 1970. */
  readonly mtime: number;
  readonly device: readonly [major: number, minor: number];
}

/** A field that cannot be read; the reader adds where it stood. */
export class TarFieldError extends Error {
  override readonly name = "TarFieldError";
}

/** True for a block of zeros, two of which end an archive. */
export function isZeroBlock(block: Buffer): boolean {
  return block.equals(zeroBlock);
}
const zeroBlock = Buffer.alloc(blockBytes);

/** Reads a header block. @throws TarFieldError */
export function parseTarHeader(block: Buffer): TarHeader {
  checkSum(block);
  const flag = String.fromCharCode(block[156]!);
  const magic = block.toString("latin1", 257, 265);
  const posix = magic.startsWith("ustar\0");
  const device =
    flag === "3" || flag === "4"
      ? ([number(block, 329, 8, "devmajor"), number(block, 337, 8, "devminor")] as const)
      : ([0, 0] as const);
  return {
    flag,
    name: (posix ? prefix(block) : "") + text(block, 0, 100),
    linkName: text(block, 157, 100),
    mode: number(block, 100, 8, "mode"),
    uid: number(block, 108, 8, "uid"),
    gid: number(block, 116, 8, "gid"),
    size: number(block, 124, 12, "size"),
    mtime: number(block, 136, 12, "mtime"),
    device,
  };
}

/** star keeps two times in the last 24 bytes of the prefix and says so by a trailer. */
function prefix(block: Buffer): string {
  const star = block.toString("latin1", 508, 512) === "tar\0";
  const directory = text(block, 345, star ? 131 : 155);
  return directory === "" ? "" : `${directory}/`;
}

/** The sum of the block's bytes with the sum's own field read as spaces. Some old writers added signed bytes; both are accepted. */
function checkSum(block: Buffer): void {
  let unsigned = 0;
  let signed = 0;
  for (let index = 0; index < blockBytes; index++) {
    const byte = index >= 148 && index < 156 ? 0x20 : block[index]!;
    unsigned += byte;
    signed += byte < 0x80 ? byte : byte - 0x100;
  }
  const stated = number(block, 148, 8, "checksum");
  if (stated !== unsigned && stated !== signed) throw new TarFieldError("header checksum is wrong");
}

function text(block: Buffer, start: number, length: number): string {
  const end = block.indexOf(0, start);
  return block.toString("latin1", start, end < 0 || end > start + length ? start + length : end);
}

/** Octal text, or for what does not fit it GNU's big-endian binary number with the top bit set. */
function number(block: Buffer, start: number, length: number, field: string): number {
  if ((block[start]! & 0x80) !== 0) return binary(block.subarray(start, start + length), field);
  const digits = block.toString("latin1", start, start + length).replace(/^[ \0]+|[ \0]+$/g, "");
  // Some writers leave more after a NUL; the number ends there.
  const octal = digits.split("\0", 1)[0]!;
  if (octal === "") return 0;
  if (!/^[0-7]+$/.test(octal)) throw new TarFieldError(`${field} is not a number`);
  return Number.parseInt(octal, 8);
}

function binary(bytes: Buffer, field: string): number {
  let value = 0n;
  for (const [index, byte] of bytes.entries()) value = (value << 8n) | BigInt(index === 0 ? byte & 0x7f : byte);
  // The top bit is the mark; the next one is the sign of a two's complement number.
  const bits = BigInt(bytes.length * 8 - 1);
  return safeNumber((bytes[0]! & 0x40) === 0 ? value : value - (1n << bits), field);
}

/** A number that JavaScript holds exactly. @throws TarFieldError */
export function safeNumber(value: bigint, field: string): number {
  const result = Number(value);
  if (!Number.isSafeInteger(result)) throw new TarFieldError(`${field} is out of range`);
  return result;
}
