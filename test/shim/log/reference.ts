/** The formats said as simply as can be: a byte at a time, for the formatters to be compared with. */
import type { LogStream } from "../../../src/shim/log/mod.ts";

export interface ReferenceRecord {
  readonly stream: LogStream;
  readonly bytes: Buffer;
  /** Ended by a line end, which is not in `bytes`. */
  readonly whole: boolean;
}

/** What a log of these chunks holds, in order. A piece of a line has at most `pieceBytesMax` bytes, and ends between characters if asked. */
export function referenceRecords(
  chunks: readonly { readonly stream: LogStream; readonly bytes: Uint8Array }[],
  pieceBytesMax: number,
  betweenCharacters: boolean,
): ReferenceRecord[] {
  const records: ReferenceRecord[] = [];
  const held: Record<LogStream, number[]> = { stdout: [], stderr: [] };
  for (const { stream, bytes } of chunks) {
    for (const byte of bytes) {
      const line = held[stream];
      if (byte === 0x0a) {
        records.push({ stream, bytes: Buffer.from(line.splice(0)), whole: true });
        continue;
      }
      if (line.length === pieceBytesMax) {
        const length = betweenCharacters ? line.length - unfinishedCharacter(line) : line.length;
        records.push({ stream, bytes: Buffer.from(line.splice(0, length)), whole: false });
      }
      line.push(byte);
    }
  }
  for (const stream of ["stdout", "stderr"] as const) {
    if (held[stream].length > 0) records.push({ stream, bytes: Buffer.from(held[stream]), whole: false });
  }
  return records;
}

function isValid(bytes: readonly number[]): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(bytes));
    return true;
  } catch {
    return false;
  }
}

/** How many bytes at the end announce a character that has more bytes than are there. */
function unfinishedCharacter(line: readonly number[]): number {
  for (const [leads, length] of [
    [[0xc2, 0xdf], 2],
    [[0xe0, 0xef], 3],
    [[0xf0, 0xf4], 4],
  ] as const) {
    for (let there = 1; there < length && there <= line.length; there++) {
      const tail = line.slice(-there);
      const continued = tail.slice(1).every((byte) => byte >= 0x80 && byte <= 0xbf);
      if (tail[0]! >= leads[0] && tail[0]! <= leads[1] && continued) return there;
    }
  }
  return 0;
}

/** Go's conversion of bytes to text: each byte that is in no valid character becomes U+FFFD. */
export function goText(bytes: Uint8Array): string {
  const all = [...bytes];
  let text = "";
  for (let at = 0; at < all.length; ) {
    const length = [1, 2, 3, 4].find((count) => at + count <= all.length && isValid(all.slice(at, at + count)));
    text += length === undefined ? "\ufffd" : Buffer.from(all.slice(at, at + length)).toString();
    at += length ?? 1;
  }
  return text;
}
