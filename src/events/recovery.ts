/**
 * Mends what an interrupted write leaves behind, before the log is written again. Owns every change to a file that is made at opening.
 * It must never touch a damaged log, and what it cuts off it first keeps, durably, in a file beside it.
 */
import { dirname } from "node:path";
import type { Files } from "../platform/files.ts";
import type { Position } from "./fact.ts";
import type { Examination, Torn } from "./examination.ts";
import { encodeSeal, frameHeaderBytes } from "./frame.ts";
import type { Reserve } from "./reserve.ts";
import type { Segment } from "./segment.ts";

/** An unfinished write that was found at the end of the log and cut. None of it had been acknowledged. */
export interface Recovered {
  /** The segment it was in. */
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
  /** The position that its first fact would have had; the next fact appended gets it. */
  readonly position: Position;
  /** How many facts were in it, where its header still said so. */
  readonly facts: number | undefined;
  /** Where the bytes are now; undefined when there were none. */
  readonly broken: string | undefined;
}

/** Makes the examined segments fit to be appended to; the last one is open for writing. */
export async function recover(
  files: Files,
  found: Examination,
  reserve: Reserve,
  seed: number,
): Promise<Recovered | undefined> {
  const { segments, unborn, unsealed, torn } = found;
  const cut = unborn ?? torn;
  const broken = cut === undefined || cut.bytes === 0 ? undefined : await keep(files, cut);
  if (unborn !== undefined) segments.push(await reserve.take(unborn.position));
  if (segments.length === 0) segments.push(await reserve.take(0));
  if (unsealed !== undefined) await seal(files, unsealed, seed);

  const last = segments.at(-1)!;
  last.handle ??= await files.open("log.recover.open", last.path, "r+");
  if (torn !== undefined) {
    // Cut and made long again, so that not one byte of it can come back behind a shorter frame.
    await files.truncate("log.recover.truncate", last.handle, torn.offset);
    await files.fsync("log.recover.fsync", last.handle);
  }
  return cut === undefined
    ? undefined
    : { file: cut.path, offset: cut.offset, bytes: cut.bytes, position: cut.position, facts: cut.facts, broken };
}

/** Ends a full segment. Its successor must exist, durably and empty. */
export async function seal(files: Files, segment: Segment, seed: number): Promise<void> {
  const handle = segment.handle ?? (await files.open("log.seal.open", segment.path, "r+"));
  try {
    await files.write("log.seal.write", handle, encodeSeal(segment.next, seed), segment.end);
    await files.truncate("log.seal.truncate", handle, segment.end + frameHeaderBytes);
    await files.fsync("log.seal.fsync", handle);
  } finally {
    if (handle !== segment.handle) await handle.close();
  }
}

/** Copies the bytes that are about to be cut to `<segment>.<offset>.broken`, or beside an earlier one. */
async function keep(files: Files, { path, offset, bytes }: Torn): Promise<string> {
  const taken = new Set(await files.readdir("log.readdir", dirname(path)));
  let broken = `${path}.${offset}.broken`;
  for (let number = 2; taken.has(broken.slice(dirname(path).length + 1)); number++)
    broken = `${path}.${offset}.${number}.broken`;
  const handle = await files.open("log.examine.open", path, "r");
  try {
    const copy = Buffer.alloc(bytes);
    await files.read("log.read", handle, copy, offset);
    await files.writeFileDurably("log.broken", broken, copy);
  } finally {
    await handle.close();
  }
  return broken;
}
