/**
 * UTF-8 as Go's decoder sees it, because Docker's files say what Go's decoder said. Works on bytes only; it must never turn valid text into
 * anything else.
 */

/** U+FFFD, the replacement character. */
const replacement = [0xef, 0xbf, 0xbd] as const;

/** Lengths of sequences by their first byte; 0 for bytes that begin none. */
function announcedLength(first: number): number {
  if (first < 0x80) return 1;
  if (first < 0xc2) return 0;
  if (first < 0xe0) return 2;
  if (first < 0xf0) return 3;
  return first < 0xf5 ? 4 : 0;
}

/** Length of the valid sequence at `at`, 0 if there is none (Unicode 15, table 3-7). */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  const length = announcedLength(first);
  if (length <= 1) return length;
  if (at + length > bytes.length) return 0;
  const second = bytes[at + 1]!;
  const lowest = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const highest = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < lowest || second > highest) return 0;
  for (let index = at + 2; index < at + length; index++) if ((bytes[index]! & 0xc0) !== 0x80) return 0;
  return length;
}

/** A copy in which each byte that belongs to no valid sequence is U+FFFD, one for one (utf8.DecodeRune; WHATWG's decoder replaces fewer). */
export function withReplacements(bytes: Uint8Array): Buffer {
  const valid = Buffer.allocUnsafe(bytes.length * replacement.length);
  let end = 0;
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    if (length === 0) {
      for (const byte of replacement) valid[end++] = byte;
      at += 1;
    } else {
      for (const stop = at + length; at < stop; ) valid[end++] = bytes[at++]!;
    }
  }
  return valid.subarray(0, end);
}

/** The greatest end, at most `end`, at which no sequence that may still become valid is cut. At most 3 bytes before `end`. */
export function characterEnd(bytes: Uint8Array, end: number): number {
  for (let back = 1; back <= 3 && back <= end; back++) {
    const byte = bytes[end - back]!;
    if ((byte & 0xc0) === 0x80) continue;
    return announcedLength(byte) > back ? end - back : end;
  }
  return end;
}
