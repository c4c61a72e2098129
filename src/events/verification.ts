/**
 * Checking a log from outside: every byte of it, in order. Changes nothing and takes no lock, so it works on a stopped or copied root,
 * and beside a running daemon up to a position that is durable there. Goes on behind damage where frames can be found again.
 */
import { join } from "node:path";
import { type FileHandle, Files } from "../platform/files.ts";
import { Attachments } from "./attachments.ts";
import { AttachmentDamaged } from "./errors.ts";
import { type Examination, examine } from "./examination.ts";
import type { Fact, Position } from "./fact.ts";
import { FactReader } from "./fact-reader.ts";
import { eachRecord, type Frame, frameHeaderBytes, frameSeed } from "./frame.ts";
import { Attached, decodeRecord } from "./record.ts";
import { findFrame, FrameScanner, isZeroFrom } from "./scanner.ts";
import { decodeSegmentHeader, parseSegmentName, segmentHeaderBytes } from "./segment-header.ts";

/** Problems that are described; more are only counted. */
const problemsMax = 1000;

export interface LogProblem {
  readonly message: string;
  readonly file: string;
  readonly offset: number;
  readonly position: Position;
}

export interface LogReport {
  readonly segments: number;
  readonly frames: number;
  readonly facts: number;
  readonly attachments: number;
  /** Bytes of headers, frames and seals. */
  readonly bytes: number;
  /** The first problems found; empty when the log is what was written. */
  readonly problems: readonly LogProblem[];
  readonly problemsFound: number;
  /** What an interrupted write left, in words; the next opening mends it, and nothing acknowledged is in it. */
  readonly unfinished: readonly string[];
}

/** Facts that can be read without the log being opened for writing. */
export interface Facts {
  /** Empty when there is no log. */
  readonly logId: string;
  readonly oldest: Position;
  /** The position after the last whole frame. */
  readonly durableNext: Position;
  /** As `Log.read`. */
  read(range: {
    readonly from: Position;
    readonly to?: Position;
    readonly signal?: AbortSignal;
  }): AsyncIterable<Fact[]>;
}

/** The facts in `root`, whose log nobody may have open. Errors: LogCorruption when it is damaged, LogFormatUnknown. */
export async function openFacts(root: string, files = new Files()): Promise<Facts> {
  const { logId, segments, damage } = await examine(files, join(root, "log"));
  if (damage !== undefined) throw damage;
  const reader = new FactReader(segments, new Attachments(files, root));
  const durableNext = segments.at(-1)?.next ?? 0;
  return {
    logId: logId?.toString("hex") ?? "",
    oldest: reader.oldest,
    durableNext,
    read: ({ from, to = durableNext, signal }) => reader.read(from, Math.min(to, durableNext), signal),
  };
}

/**
 * Verifies frames and their checksums, density of positions and of every stream's versions, and attachments, of the log in `root`.
 * `to` is for a log that is being written: what comes from that position on is not looked at. Errors: LogFormatUnknown, and the
 * filesystem's own.
 */
export async function verifyLog(
  root: string,
  { files = new Files(), to }: { files?: Files; to?: Position } = {},
): Promise<LogReport> {
  const directory = join(root, "log");
  const names = (await files.readdir("log.readdir", directory))
    .filter((name) => parseSegmentName(name) !== undefined)
    .sort();
  const verification = new Verification(
    files,
    root,
    to,
    to === undefined ? await examine(files, directory) : undefined,
  );
  for (const [index, name] of names.entries()) {
    const next = names[index + 1];
    await verification.segment(
      join(directory, name),
      parseSegmentName(name)!,
      next === undefined ? undefined : parseSegmentName(next)!,
    );
  }
  return verification.report();
}

class Verification {
  readonly #files: Files;
  readonly #attachments: Attachments;
  readonly #to: Position;
  readonly #examination: Examination | undefined;
  readonly #problems: LogProblem[] = [];
  readonly #unfinished: string[] = [];
  /** The next version of every stream seen, and the number of gaps in the log before it was seen last. */
  readonly #streams = new Map<string, { next: number; gaps: number }>();
  readonly #count = { segments: 0, frames: 0, facts: 0, attachments: 0, bytes: 0, problemsFound: 0 };
  #logId: Buffer | undefined;
  /** The position that the next frame should have; undefined before the first. */
  #position: Position | undefined;
  #gaps = 0;

  constructor(files: Files, root: string, to: Position | undefined, examination: Examination | undefined) {
    this.#files = files;
    this.#attachments = new Attachments(files, root);
    this.#to = to ?? Number.POSITIVE_INFINITY;
    this.#examination = examination;
    this.#logId = examination?.logId;
  }

  report(): LogReport {
    return { ...this.#count, problems: this.#problems, unfinished: this.#unfinished };
  }

  /** Verifies one segment; `successor` is the first position of the next one. */
  async segment(path: string, first: Position, successor: Position | undefined): Promise<void> {
    if (first >= this.#to) return;
    const handle = await this.#files.open("log.verify.open", path, "r");
    try {
      this.#count.segments += 1;
      if (await this.#header(handle, path, first)) await this.#frames(handle, path, first, successor);
    } finally {
      await handle.close();
    }
  }

  /** Whether the frames can be looked at: their checksums begin with the log's id. */
  async #header(handle: FileHandle, path: string, first: Position): Promise<boolean> {
    if (this.#position !== undefined && this.#position !== first) {
      this.#problem(path, 0, this.#position, `positions from ${this.#position} to ${first} are missing`);
    }
    if (this.#position !== first && first > 0) this.#gaps += 1;
    this.#position = first;
    const bytes = Buffer.alloc(segmentHeaderBytes);
    await this.#files.read("log.read", handle, bytes, 0);
    const header = decodeSegmentHeader(bytes);
    this.#logId ??= header?.logId;
    if (header?.first === first && header.logId.equals(this.#logId!)) return true;
    if (this.#examination?.unborn?.path === path) this.#unfinished.push(`${path} has no header yet, and no facts`);
    else this.#problem(path, 0, first, "no valid segment header of this log at this position");
    return this.#logId !== undefined && this.#examination?.unborn?.path !== path;
  }

  async #frames(handle: FileHandle, path: string, first: Position, successor: Position | undefined): Promise<void> {
    const seed = frameSeed(this.#logId!);
    this.#count.bytes += segmentHeaderBytes;
    for (let scanner = new FrameScanner(this.#files, seed, segmentHeaderBytes, first); ; ) {
      const before = scanner.offset;
      for (const frame of await scanner.next(handle)) {
        await this.#frame(path, frame);
        if (this.#position! >= this.#to) return;
      }
      this.#count.bytes += scanner.offset - before;
      if (scanner.stop === undefined) continue;
      const { stop, offset, position } = scanner;
      if (stop.kind === "seal") return this.#seal(handle, path, offset, position, successor);

      const { torn, unsealed } = this.#examination ?? {};
      if (torn?.path === path && torn.offset === offset) {
        this.#unfinished.push(`${path} ends in ${torn.bytes} bytes of an unfinished write at offset ${offset}`);
        return;
      }
      if (unsealed?.path === path && unsealed.end === offset) {
        this.#unfinished.push(`${path} has no seal yet`);
        return;
      }
      if (stop.kind === "end" && successor === undefined && (await isZeroFrom(this.#files, handle, offset))) return;
      this.#problem(path, offset, position, "finding" in stop ? stop.finding : "the frames end without a seal");
      const found = await findFrame(this.#files, handle, seed, offset, position);
      if (found === undefined) return;
      this.#gaps += 1;
      this.#position = found.first;
      scanner = new FrameScanner(this.#files, seed, found.offset, found.first);
    }
  }

  async #seal(
    handle: FileHandle,
    path: string,
    offset: number,
    position: Position,
    successor: Position | undefined,
  ): Promise<void> {
    this.#count.bytes += frameHeaderBytes;
    const end = offset + frameHeaderBytes;
    if (successor === undefined)
      this.#problem(path, offset, position, "the segment is sealed, but the one after it is missing");
    const { size } = await handle.stat();
    if (size === end) return;
    if (this.#examination?.unsealed?.path === path) this.#unfinished.push(`${path} is not cut after its seal yet`);
    else this.#problem(path, end, position, `${size - end} bytes after the seal`);
  }

  async #frame(path: string, frame: Frame): Promise<void> {
    this.#count.frames += 1;
    this.#position = frame.first + frame.count;
    const facts: Fact[] = [];
    try {
      eachRecord(frame, (start, end, position) => {
        const fact = decodeRecord(frame.source, start, end);
        if (fact.position !== position)
          throw new RangeError(`the record in the place of ${position} says ${fact.position}`);
        facts.push(fact);
      });
    } catch (error) {
      const finding = error instanceof Error ? error.message : String(error);
      this.#problem(path, frame.offset, frame.first, `a frame holds what are no records: ${finding}`);
    }
    for (const fact of facts) {
      this.#count.facts += 1;
      this.#version(path, frame.offset, fact);
      if (fact.data instanceof Attached) await this.#attachment(fact.data, fact.position);
    }
  }

  /** Versions are dense; behind a gap, or in a log that was cut, a stream may have gone on unseen. */
  #version(path: string, offset: number, { namespace, stream, version, position }: Fact): void {
    const key = `${namespace}\0${stream}`;
    const seen = this.#streams.get(key) ?? { next: 0, gaps: 0 };
    const fits = seen.gaps === this.#gaps ? version === seen.next : version >= seen.next;
    if (!fits)
      this.#problem(
        path,
        offset,
        position,
        `${stream} in namespace ${namespace} has version ${version} after ${seen.next - 1}`,
      );
    this.#streams.set(key, { next: version + 1, gaps: this.#gaps });
  }

  async #attachment({ digest, size }: Attached, position: Position): Promise<void> {
    try {
      await this.#attachments.get(digest, size);
      this.#count.attachments += 1;
    } catch (error) {
      if (!(error instanceof AttachmentDamaged)) throw error;
      this.#problem(error.file, 0, position, error.finding);
    }
  }

  #problem(file: string, offset: number, position: Position, finding: string): void {
    this.#count.problemsFound += 1;
    if (this.#problems.length === problemsMax) return;
    this.#problems.push({
      message: `${file} at offset ${offset}, position ${position}: ${finding}`,
      file,
      offset,
      position,
    });
  }
}
