/**
 * One frame: `docs/formats/log.md`, "Frames". Owns the header's layout and the length prefixes between records. A frame is whole or it
 * is nothing: no function here gives out a part of one whose checksums have not been compared.
 */
import { crc32 } from "node:zlib";
import type { Position } from "./fact.ts";

export const frameHeaderBytes = 28;

/** A reader holds a whole frame in memory, so the format bounds it. */
export const framePayloadBytesMax = 4 * 1024 * 1024;

const magic = 0x534c6672; // "SLfr"

/** The magic as bytes, for finding frames behind damage. */
export const frameMagic: Buffer = Buffer.from("SLfr", "latin1");

export interface FrameHeader {
  /** Bytes after the header. 0 in a seal. */
  readonly payloadBytes: number;
  /** Position of the first record; in a seal, the first position of the segment that follows. */
  readonly first: Position;
  /** Number of records. 0 makes the frame a seal: the segment is complete. */
  readonly count: number;
  readonly payloadCrc: number;
}

/** A frame in memory: its checksums have been compared. */
export interface Frame {
  /** Where its header begins in the file. */
  readonly offset: number;
  readonly first: Position;
  readonly count: number;
  /** What was read, with the payload from `start` up to `end` in it. */
  readonly source: Buffer;
  readonly start: number;
  readonly end: number;
}

/** Starts every header's checksum, so that a frame of one log is no frame of another. */
export function frameSeed(logId: Uint8Array): number {
  return crc32(logId);
}

export function payloadCrc(payload: Uint8Array): number {
  return crc32(payload);
}

export function writeFrameHeader(target: Buffer, header: FrameHeader, seed: number): void {
  target.writeUInt32BE(magic, 0);
  target.writeUInt32BE(header.payloadBytes, 4);
  target.writeBigUInt64BE(BigInt(header.first), 8);
  target.writeUInt32BE(header.count, 16);
  target.writeUInt32BE(header.payloadCrc, 20);
  target.writeUInt32BE(crc32(target.subarray(0, 24), seed), 24);
}

/** Reads the header at `offset`; undefined when the bytes there are none. */
export function readFrameHeader(source: Buffer, offset: number, seed: number): FrameHeader | undefined {
  if (source.length - offset < frameHeaderBytes || source.readUInt32BE(offset) !== magic) return undefined;
  if (source.readUInt32BE(offset + 24) !== crc32(source.subarray(offset, offset + 24), seed)) return undefined;
  const payloadBytes = source.readUInt32BE(offset + 4);
  const first = Number(source.readBigUInt64BE(offset + 8));
  const count = source.readUInt32BE(offset + 16);
  const plausible = count === 0 ? payloadBytes === 0 : payloadBytes > 2 * count && payloadBytes <= framePayloadBytesMax;
  if (!plausible || !Number.isSafeInteger(first + count)) return undefined;
  return { payloadBytes, first, count, payloadCrc: source.readUInt32BE(offset + 20) };
}

/** The frame that ends a segment whose successor begins at `next`. */
export function encodeSeal(next: Position, seed: number): Buffer {
  const seal = Buffer.alloc(frameHeaderBytes);
  writeFrameHeader(seal, { payloadBytes: 0, first: next, count: 0, payloadCrc: 0 }, seed);
  return seal;
}

/** Bytes that a record takes in a payload. */
export function framedBytes(record: Uint8Array): number {
  return 2 + record.length;
}

/** Puts a record and its length into a payload; returns where the next one goes. */
export function writeRecord(target: Buffer, offset: number, record: Uint8Array): number {
  target.writeUInt16BE(record.length, offset);
  target.set(record, offset + 2);
  return offset + 2 + record.length;
}

/**
 * Calls `each` with the bounds in `frame.source` of every record and its position. The exact bytes between them are the leaf of the
 * log's Merkle tree. Throws when the records do not fill the payload.
 */
export function eachRecord(frame: Frame, each: (start: number, end: number, position: Position) => void): void {
  const { source, first, count } = frame;
  let offset = frame.start;
  for (let index = 0; index < count; index++) {
    if (offset + 2 > frame.end) throw new RangeError(`record ${index} of ${count} is missing`);
    const start = offset + 2;
    offset = start + source.readUInt16BE(offset);
    if (offset > frame.end) throw new RangeError(`record ${index} of ${count} is cut`);
    each(start, offset, first + index);
  }
  if (offset !== frame.end) throw new RangeError(`${frame.end - offset} bytes after the last of ${count} records`);
}
