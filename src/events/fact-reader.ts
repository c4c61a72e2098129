/**
 * Facts from segment files. Owns the way from a position to bytes and from bytes to facts. Knows nothing of what is durable: the caller
 * bounds every read. A reader is a cursor in a generator; while it is stalled it holds no memory beyond the batch it gave out, and no
 * descriptor.
 */
import type { Attachments } from "./attachments.ts";
import { LogCorruption, PositionCompacted } from "./errors.ts";
import type { Fact, Position } from "./fact.ts";
import { eachRecord, type Frame } from "./frame.ts";
import { Attached, decodeData, decodeRecord } from "./record.ts";
import type { Segment } from "./segment.ts";

/** A batch ends once this much was read from attachments for it. */
const attachedBytesTarget = 4 * 1024 * 1024;

/** Where a frame begins, and the position of its first fact. */
interface Cursor {
  readonly offset: number;
  readonly position: Position;
}

export class FactReader {
  readonly #segments: readonly Segment[];
  readonly #attachments: Attachments;

  /** `segments` in order, without holes; may grow at its end. */
  constructor(segments: readonly Segment[], attachments: Attachments) {
    this.#segments = segments;
    this.#attachments = attachments;
  }

  /** The first position there is. */
  get oldest(): Position {
    return this.#segments[0]?.first ?? 0;
  }

  /**
   * The facts from `from` up to `to`, which is not included and must not be beyond what is durable. Batches are never empty, and hold
   * about 256 KiB of records, or one frame (at most 4 MiB). Errors: PositionCompacted, LogCorruption, AttachmentDamaged, the reason of
   * `signal` when it is aborted.
   */
  async *read(from: Position, to: Position, signal?: AbortSignal): AsyncGenerator<Fact[], void, undefined> {
    for await (const facts of this.#records(from, to, signal)) {
      if (facts.some(isAttached)) yield* this.#resolve(facts);
      else yield facts;
    }
  }

  /** The digests of the attachments that the records from `from` up to `to` name. Errors: those of `read`, but for AttachmentDamaged. */
  async *attached(from: Position, to: Position): AsyncGenerator<string, void, undefined> {
    for await (const facts of this.#records(from, to)) {
      for (const fact of facts) if (isAttached(fact)) yield fact.data.digest;
    }
  }

  /** As `read`, with an `Attached` where the payload is attached. */
  async *#records(from: Position, to: Position, signal?: AbortSignal): AsyncGenerator<Fact[], void, undefined> {
    if (from < this.oldest) throw new PositionCompacted(from, this.oldest);
    let segment: Segment | undefined;
    let cursor: Cursor = { offset: 0, position: from };
    while (cursor.position < to) {
      signal?.throwIfAborted();
      const here = this.#find(cursor.position);
      if (here !== segment) {
        segment = here;
        cursor = await segment.seek(cursor.position);
      }
      const batch = await nextBatch(segment, cursor, from, to);
      cursor = batch.cursor;
      if (batch.facts.length > 0) yield batch.facts;
    }
  }

  #find(position: Position): Segment {
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#segments[middle]!.first <= position) low = middle + 1;
      else high = middle;
    }
    return this.#segments[low - 1]!;
  }

  async *#resolve(facts: readonly Fact[]): AsyncGenerator<Fact[], void, undefined> {
    let batch: Fact[] = [];
    let bytes = 0;
    for (const fact of facts) {
      if (!isAttached(fact)) {
        batch.push(fact);
        continue;
      }
      const { digest, size } = fact.data;
      if (bytes > 0 && bytes + size > attachedBytesTarget) {
        yield batch;
        batch = [];
        bytes = 0;
      }
      batch.push({ ...fact, data: decodeData(await this.#attachments.get(digest, size)) });
      bytes += size;
    }
    if (batch.length > 0) yield batch;
  }
}

/** Not inlined in the generator, which would hold on to the frames while it is stalled. */
async function nextBatch(
  segment: Segment,
  { offset, position }: Cursor,
  from: Position,
  to: Position,
): Promise<{ facts: Fact[]; cursor: Cursor }> {
  const { frames, ...cursor } = await segment.read(offset, position, to);
  return { facts: decode(frames, from, to, segment.path), cursor };
}

function isAttached(fact: Fact): fact is Fact & { readonly data: Attached } {
  return fact.data instanceof Attached;
}

function decode(frames: readonly Frame[], from: Position, to: Position, path: string): Fact[] {
  const facts: Fact[] = [];
  for (const frame of frames) {
    try {
      eachRecord(frame, (start, end, position) => {
        if (position < from || position >= to) return;
        const fact = decodeRecord(frame.source, start, end);
        if (fact.position !== position)
          throw new RangeError(`the record in the place of ${position} says ${fact.position}`);
        facts.push(fact);
      });
    } catch (error) {
      const finding = `a frame holds what are no records: ${error instanceof Error ? error.message : String(error)}`;
      throw new LogCorruption(path, frame.offset, frame.first, finding, { cause: error });
    }
  }
  return facts;
}
