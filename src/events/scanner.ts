/**
 * Walks the frames of one segment file in order. Owns the rule for what is a frame, what is the end and what is neither; recovery,
 * readers and verification all go through here. It must never give out a frame whose checksums or first position are wrong, and it
 * judges nothing: whether an invalid frame is a torn write or damage is recovery's to say.
 */
import type { FileHandle, Files } from "../platform/files.ts";
import type { Position } from "./fact.ts";
import { type Frame, frameHeaderBytes, frameMagic, payloadCrc, readFrameHeader } from "./frame.ts";

/** Bytes read at a time: large enough for the disk, small enough that a thousand readers fit in memory. */
export const chunkBytes = 256 * 1024;

/** Why there are no more frames at the scanner's offset. */
export type Stop =
  /** The limit, the end of the file, or a header's worth of zeros. */
  | { readonly kind: "end" }
  | { readonly kind: "seal" }
  /** A whole header, but of another place in the log: no interrupted write leaves that. */
  | { readonly kind: "misplaced"; readonly finding: string }
  /** Neither a frame nor the end. */
  | { readonly kind: "invalid"; readonly finding: string };

export class FrameScanner {
  readonly #files: Files;
  readonly #seed: number;
  /** Where the next frame begins. */
  offset: number;
  /** What the next frame's first position has to be. */
  position: Position;
  /** Set once there is nothing more to read. */
  stop: Stop | undefined;

  constructor(files: Files, seed: number, offset: number, position: Position) {
    this.#files = files;
    this.#seed = seed;
    this.offset = offset;
    this.position = position;
  }

  /** The frames of the next chunk, looking at nothing from offset `limit` or position `to` on. Empty once `stop` is set. */
  async next(handle: FileHandle, limit = Number.POSITIVE_INFINITY, to = Number.POSITIVE_INFINITY): Promise<Frame[]> {
    if (this.stop !== undefined) return [];
    const frames = await this.#read(handle, Math.min(chunkBytes, limit - this.offset), to);
    if (typeof frames !== "number") return frames;
    const one = await this.#read(handle, Math.min(frames, limit - this.offset), to);
    if (typeof one !== "number") return one;
    this.stop = invalid("the frame is cut");
    return [];
  }

  /** Reads up to `length` bytes; the length to read instead when not even the first frame is whole in them. */
  async #read(handle: FileHandle, length: number, to: Position): Promise<Frame[] | number> {
    const buffer = Buffer.allocUnsafeSlow(length);
    const chunk = buffer.subarray(0, await this.#files.read("log.read", handle, buffer, this.offset));
    const frames: Frame[] = [];
    let at = 0;
    while (this.stop === undefined && this.position < to) {
      const header = readFrameHeader(chunk, at, this.#seed);
      if (header === undefined) {
        const left = chunk.length - at;
        if (left < frameHeaderBytes && frames.length > 0) break;
        this.stop = isZero(chunk.subarray(at, at + frameHeaderBytes))
          ? { kind: "end" }
          : invalid("no valid frame header");
      } else if (header.first !== this.position) {
        this.stop = {
          kind: "misplaced",
          finding: `a frame begins at position ${header.first} instead of ${this.position}`,
        };
      } else if (header.count === 0) {
        this.stop = { kind: "seal" };
      } else {
        const end = at + frameHeaderBytes + header.payloadBytes;
        if (end > chunk.length) {
          if (frames.length > 0) break;
          if (chunk.length === length && end > length) return end;
          this.stop = invalid("the frame is cut");
          break;
        }
        const start = at + frameHeaderBytes;
        if (payloadCrc(chunk.subarray(start, end)) !== header.payloadCrc) {
          this.stop = invalid("the frame's payload does not match its checksum");
          break;
        }
        frames.push({ offset: this.offset, first: header.first, count: header.count, source: chunk, start, end });
        this.offset += end - at;
        this.position += header.count;
        at = end;
      }
    }
    return frames;
  }
}

function invalid(finding: string): Stop {
  return { kind: "invalid", finding };
}

const zeros = Buffer.alloc(chunkBytes);

function isZero(bytes: Buffer): boolean {
  return bytes.equals(zeros.subarray(0, bytes.length));
}

/** Whether there are only zeros, or nothing, from `offset` to the end of the file. */
export async function isZeroFrom(files: Files, handle: FileHandle, offset: number): Promise<boolean> {
  const buffer = Buffer.allocUnsafeSlow(chunkBytes);
  for (let at = offset; ; at += buffer.length) {
    const chunk = buffer.subarray(0, await files.read("log.read", handle, buffer, at));
    if (!isZero(chunk)) return false;
    if (chunk.length < buffer.length) return true;
  }
}

/** The offset after the last byte from `offset` on that is not zero; `offset` itself when all are. */
export async function endOfData(files: Files, handle: FileHandle, offset: number): Promise<number> {
  const buffer = Buffer.allocUnsafeSlow(chunkBytes);
  let end = offset;
  for (let at = offset; ; ) {
    const chunk = buffer.subarray(0, await files.read("log.read", handle, buffer, at));
    if (chunk.length === 0) return end;
    if (!isZero(chunk)) end = at + chunk.findLastIndex((byte) => byte !== 0) + 1;
    at += chunk.length;
  }
}

/** The first whole frame (or seal) from `offset` on whose position is beyond `position`; undefined when there is none. */
export async function findFrame(
  files: Files,
  handle: FileHandle,
  seed: number,
  offset: number,
  position: Position,
): Promise<{ offset: number; first: Position } | undefined> {
  const buffer = Buffer.allocUnsafeSlow(chunkBytes);
  for (let at = offset; ; ) {
    const chunk = buffer.subarray(0, await files.read("log.read", handle, buffer, at));
    for (let hit = chunk.indexOf(frameMagic); hit !== -1; hit = chunk.indexOf(frameMagic, hit + 1)) {
      const header = readFrameHeader(chunk, hit, seed);
      if (header === undefined || header.first <= position) continue;
      const payload = Buffer.allocUnsafeSlow(header.payloadBytes);
      const read = await files.read("log.read", handle, payload, at + hit + frameHeaderBytes);
      const whole = read === payload.length && (header.count === 0 || payloadCrc(payload) === header.payloadCrc);
      if (whole) return { offset: at + hit, first: header.first };
    }
    if (chunk.length < buffer.length) return undefined;
    // A header may lie across two chunks.
    at += chunk.length - (frameHeaderBytes - 1);
  }
}
