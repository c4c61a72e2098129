/**
 * Reads a log's directory as a crash or a bad disk left it and says what is there. Owns the line between what an interrupted write can
 * leave behind, which recovery mends, and damage, which it must not touch. Changes nothing.
 *
 * Cheap for what is sealed: the header, and the seal that ends the file. Only the last segment is read through.
 */
import { join } from "node:path";
import type { FileHandle, Files } from "../platform/files.ts";
import { LogCorruption, LogFormatUnknown } from "./errors.ts";
import type { Position } from "./fact.ts";
import { frameHeaderBytes, frameSeed, readFrameHeader } from "./frame.ts";
import { endOfData, findFrame, FrameScanner, isZeroFrom } from "./scanner.ts";
import { Segment } from "./segment.ts";
import {
  decodeSegmentHeader,
  formatVersion,
  parseSegmentName,
  segmentHeaderBytes,
  segmentName,
  type SegmentHeader,
} from "./segment-header.ts";

/** What was found. At most one of `unborn` and `torn` is set, and neither when there is damage. */
export interface Examination {
  /** Undefined when no valid segment header is left, as in a new log. */
  readonly logId: Buffer | undefined;
  /** What can be read, in order; cut off where the damage begins. */
  readonly segments: Segment[];
  readonly damage: LogCorruption | undefined;
  /** The last segment's header was never made whole; the file holds no frame. */
  readonly unborn: Torn | undefined;
  /** The last segment but one is full, and its seal was never made whole. */
  readonly unsealed: Segment | undefined;
  /** The last segment ends in a frame that was never made whole. */
  readonly torn: Torn | undefined;
}

export interface Torn {
  readonly path: string;
  readonly offset: number;
  /** From `offset` to the last byte that is not zero. */
  readonly bytes: number;
  readonly position: Position;
  /** How many facts the frame's header states, where that much of it is whole. */
  readonly facts: number | undefined;
}

interface Found {
  readonly path: string;
  readonly first: Position;
  readonly size: number;
  readonly header: SegmentHeader | undefined;
  /** Nothing but zeros after the header. */
  readonly empty: boolean;
}

export async function examine(files: Files, directory: string): Promise<Examination> {
  const names = (await files.readdir("log.readdir", directory))
    .filter((name) => parseSegmentName(name) !== undefined)
    .sort();
  const found: Found[] = [];
  for (const name of names)
    found.push(await look(files, join(directory, name), parseSegmentName(name)!, name === names.at(-1)));

  const logId = found.find((each) => each.header !== undefined)?.header?.logId;
  const last = found.at(-1);
  let unborn: Torn | undefined;
  if (last !== undefined && last.header === undefined && last.empty) {
    const bytes = await withFile(files, last.path, (handle) => endOfData(files, handle, 0));
    unborn = { path: last.path, offset: 0, bytes, position: last.first, facts: undefined };
  }

  const state = { logId, segments: [] as Segment[], unborn, unsealed: undefined as Segment | undefined };
  let torn: Torn | undefined;
  try {
    for (const [index, each] of found.entries()) {
      if (each === last && unborn !== undefined) assertFollows(state.segments, each, directory);
      else {
        assertHeader(each, logId!);
        assertFollows(state.segments, each, directory);
        const seed = frameSeed(logId!);
        if (each === last) torn = await examineLast(files, seed, each, state.segments);
        else if (await examineSealed(files, seed, each, found[index + 1]!, state.segments))
          state.unsealed = state.segments.at(-1);
      }
    }
    return { ...state, torn, damage: undefined };
  } catch (error) {
    if (!(error instanceof LogCorruption)) throw error;
    return { ...state, torn: undefined, damage: error };
  }
}

async function look(files: Files, path: string, first: Position, isLast: boolean): Promise<Found> {
  return withFile(files, path, async (handle) => {
    const bytes = Buffer.alloc(segmentHeaderBytes);
    const read = await files.read("log.read", handle, bytes, 0);
    const { size } = await handle.stat();
    const empty = isLast && (await isZeroFrom(files, handle, segmentHeaderBytes));
    return { path, first, size, header: decodeSegmentHeader(bytes.subarray(0, read)), empty };
  });
}

function assertHeader({ path, first, header }: Found, logId: Buffer): void {
  if (header === undefined) throw new LogCorruption(path, 0, first, "no valid segment header");
  if (header.version !== formatVersion) throw new LogFormatUnknown(path, header.version);
  if (header.first !== first) throw new LogCorruption(path, 0, first, `the header says position ${header.first}`);
  if (!header.logId.equals(logId)) throw new LogCorruption(path, 0, first, "the segment is of another log");
}

function assertFollows(segments: readonly Segment[], { first }: Found, directory: string): void {
  const expected = segments.at(-1)?.next ?? first;
  if (first === expected) return;
  throw new LogCorruption(join(directory, segmentName(expected)), 0, expected, "the segment is missing");
}

/** Looks at a segment that has a successor; true when it is complete but its seal still has to be written. */
async function examineSealed(
  files: Files,
  seed: number,
  found: Found,
  successor: Found,
  segments: Segment[],
): Promise<boolean> {
  return withFile(files, found.path, async (handle) => {
    const { path, first, size } = found;
    if (size >= segmentHeaderBytes + frameHeaderBytes) {
      const seal = Buffer.alloc(frameHeaderBytes);
      await files.read("log.read", handle, seal, size - frameHeaderBytes);
      const header = readFrameHeader(seal, 0, seed);
      if (header?.count === 0) {
        segments.push(new Segment(files, seed, path, first, header.first, size - frameHeaderBytes));
        return false;
      }
    }
    const scanner = await scan(files, handle, seed, found, segments);
    const { offset, position, stop } = scanner;
    // Nothing is written to the successor before the seal is durable, so only an empty one can follow a segment without.
    const complete = successor.empty && position === successor.first;
    if (complete && (await endOfData(files, handle, offset)) <= offset + frameHeaderBytes) return true;
    const finding =
      stop !== undefined && "finding" in stop ? stop.finding : "the seal is missing or is not the end of the file";
    throw new LogCorruption(path, offset, position, finding);
  });
}

/** Reads the last segment through; the frame that was never made whole, if there is one. */
async function examineLast(files: Files, seed: number, found: Found, segments: Segment[]): Promise<Torn | undefined> {
  return withFile(files, found.path, async (handle) => {
    const { path } = found;
    const { offset, position, stop } = await scan(files, handle, seed, found, segments);
    if (stop?.kind === "seal") {
      const missing = join(path, "..", segmentName(position));
      throw new LogCorruption(missing, 0, position, "the segment is missing");
    }
    if (stop?.kind === "misplaced") throw new LogCorruption(path, offset, position, stop.finding);
    const end = await endOfData(files, handle, offset);
    if (end === offset) return undefined;
    const follows = await findFrame(files, handle, seed, offset, position);
    if (follows !== undefined) {
      const finding = stop?.kind === "invalid" ? stop.finding : "no valid frame header";
      throw new LogCorruption(
        path,
        offset,
        position,
        `${finding}, and a valid frame follows at offset ${follows.offset}`,
      );
    }
    const bytes = Buffer.alloc(frameHeaderBytes);
    await files.read("log.read", handle, bytes, offset);
    return { path, offset, bytes: end - offset, position, facts: readFrameHeader(bytes, 0, seed)?.count };
  });
}

/** Reads every frame of a segment up to where they end; what was whole is added to `segments`. */
async function scan(
  files: Files,
  handle: FileHandle,
  seed: number,
  found: Found,
  segments: Segment[],
): Promise<FrameScanner> {
  const { path, first } = found;
  const scanner = new FrameScanner(files, seed, segmentHeaderBytes, first);
  const segment = new Segment(files, seed, path, first, first, segmentHeaderBytes);
  segments.push(segment);
  while (scanner.stop === undefined) {
    const frames = await scanner.next(handle);
    for (const [index, frame] of frames.entries()) {
      segment.note(frame.offset, frame.first, frames[index + 1]?.offset ?? scanner.offset);
    }
    segment.next = scanner.position;
    segment.end = scanner.offset;
  }
  return scanner;
}

async function withFile<T>(files: Files, path: string, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await files.open("log.examine.open", path, "r");
  try {
    return await use(handle);
  } finally {
    await handle.close();
  }
}
