/**
 * One stream's chunks, split into what becomes records. Owns the part of a line that has been read but not ended, at most one piece of it;
 * it must never let what it hands over depend on where the chunks were cut, nor copy whole lines that are already in one chunk.
 */

/** Where the bytes go; each buffer is valid during the call only. */
export interface LineSink {
  /** One or more lines, each ended by "\n". */
  lines(bytes: Buffer): void;
  /** A piece of a line that goes on, or that the stream has ended without "\n". */
  piece(bytes: Buffer): void;
}

const newline = 0x0a;

export class LineSplitter {
  readonly #pieceBytesMax: number;
  readonly #pieceEnd: (bytes: Buffer, end: number) => number;
  readonly #sink: LineSink;
  #held: Buffer = Buffer.alloc(0);
  #length = 0;

  /**
   * A line of more than `pieceBytesMax` bytes before its "\n" is handed over in pieces of at most that many. `pieceEnd` may move the end of a
   * piece back, but not to its start.
   */
  constructor(pieceBytesMax: number, pieceEnd: (bytes: Buffer, end: number) => number, sink: LineSink) {
    this.#pieceBytesMax = pieceBytesMax;
    this.#pieceEnd = pieceEnd;
    this.#sink = sink;
  }

  push(chunk: Buffer): void {
    let from = this.#length === 0 ? 0 : this.#continueLine(chunk);
    while (from < chunk.length) {
      const end = this.#endOfLines(chunk, from);
      if (end > from) this.#sink.lines(chunk.subarray(from, end));
      from = end;
      if (chunk.length - from <= this.#pieceBytesMax) {
        this.#hold(chunk, from, chunk.length);
        return;
      }
      const rest = chunk.subarray(from, from + this.#pieceBytesMax);
      const pieceEnd = this.#pieceEnd(rest, rest.length);
      this.#sink.piece(rest.subarray(0, pieceEnd));
      from += pieceEnd;
    }
  }

  /** The stream has ended: what is held goes out as a piece. */
  end(): void {
    if (this.#length > 0) this.#sink.piece(this.#held.subarray(0, this.#length));
    this.#length = 0;
  }

  /** The end of the longest run of lines from `from` of which none is too long. Looks at a few newlines, not at each. */
  #endOfLines(chunk: Buffer, from: number): number {
    let end = from;
    while (end < chunk.length) {
      const last = chunk.lastIndexOf(newline, Math.min(end + this.#pieceBytesMax, chunk.length - 1));
      if (last < end) break;
      end = last + 1;
    }
    return end;
  }

  /** Goes on with the held line; returns how far the chunk has been used. */
  #continueLine(chunk: Buffer): number {
    const found = chunk.indexOf(newline);
    const end = found === -1 ? chunk.length : found;
    let from = 0;
    while (this.#length + end - from > this.#pieceBytesMax) {
      const take = this.#pieceBytesMax - this.#length;
      this.#hold(chunk, from, from + take);
      from += take;
      const pieceEnd = this.#pieceEnd(this.#held.subarray(0, this.#length), this.#length);
      this.#sink.piece(this.#held.subarray(0, pieceEnd));
      this.#held.copyWithin(0, pieceEnd, this.#length);
      this.#length -= pieceEnd;
      if (this.#length === 0) return from;
    }
    if (found === -1) {
      this.#hold(chunk, from, end);
      return end;
    }
    this.#hold(chunk, from, found + 1);
    this.#sink.lines(this.#held.subarray(0, this.#length));
    this.#length = 0;
    return found + 1;
  }

  #hold(chunk: Buffer, from: number, to: number): void {
    const length = this.#length + to - from;
    if (length > this.#held.length) {
      const grown = Buffer.allocUnsafe(Math.min(Math.max(length, 2 * this.#held.length), this.#pieceBytesMax + 1));
      this.#held.copy(grown, 0, 0, this.#length);
      this.#held = grown;
    }
    chunk.copy(this.#held, this.#length, from, to);
    this.#length = length;
  }
}
