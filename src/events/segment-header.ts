/** A segment file's name and its first bytes: `docs/formats/log.md`, "Segments". Owns nothing that changes. */
import { crc32 } from "node:zlib";
import type { Position } from "./fact.ts";

export const segmentHeaderBytes = 40;
export const formatVersion = 1;

const magic = Buffer.from("shiplog\n", "latin1");
const namePattern = /^(\d{20})\.log$/;

export interface SegmentHeader {
  readonly version: number;
  /** 16 bytes, the same in every segment of a log. */
  readonly logId: Buffer;
  readonly first: Position;
}

export function segmentName(first: Position): string {
  return `${String(first).padStart(20, "0")}.log`;
}

/** The position that a file name states; undefined for a file that is no segment. */
export function parseSegmentName(name: string): Position | undefined {
  const digits = namePattern.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

export function encodeSegmentHeader(logId: Uint8Array, first: Position): Buffer {
  const header = Buffer.alloc(segmentHeaderBytes);
  header.set(magic, 0);
  header.writeUInt32BE(formatVersion, 8);
  header.set(logId, 12);
  header.writeBigUInt64BE(BigInt(first), 28);
  header.writeUInt32BE(crc32(header.subarray(0, 36)), 36);
  return header;
}

/** Undefined when the bytes are no header, or one that was damaged. */
export function decodeSegmentHeader(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.length < segmentHeaderBytes || !bytes.subarray(0, 8).equals(magic)) return undefined;
  if (bytes.readUInt32BE(36) !== crc32(bytes.subarray(0, 36))) return undefined;
  return {
    version: bytes.readUInt32BE(8),
    logId: Buffer.from(bytes.subarray(12, 28)),
    first: Number(bytes.readBigUInt64BE(28)),
  };
}
