/**
 * Text as the inside of JSON strings, many lines at once. Works from bytes to bytes, four at a time where none needs escaping and two where only quotes
 * and backslashes do: faster than JSON.stringify wherever there is something to escape, and a log of JSON lines is full of that.
 */

const quote = 0x22;
const backslash = 0x5c;
const newline = 0x0a;
const unicodeEscape = Buffer.from("\\u00");
const hexDigits = Buffer.from("0123456789abcdef");
/** What follows the backslash in the escapes of two characters; 0 for the bytes that have none. */
const shortEscapes = new Uint8Array(0x100);
for (const [character, letter] of ["\bb", "\tt", "\ff", "\rr"]) {
  shortEscapes[character!.charCodeAt(0)] = letter!.charCodeAt(0);
}

/**
 * What two characters of ASCII that are no controls become, and how many bytes that is, by both of them (the first in the low seven bits): no branch
 * depends on which of them are escaped, and where a quarter is no processor can guess.
 */
const escapedPairs = new Uint32Array(0x4000);
const escapedPairLengths = new Uint8Array(0x4000);
for (let first = 0x20; first < 0x80; first++) {
  for (let second = 0x20; second < 0x80; second++) {
    const bytes = [first, second].flatMap((byte) =>
      byte === quote || byte === backslash ? [backslash, byte] : [byte],
    );
    const pair = first | (second << 7);
    escapedPairLengths[pair] = bytes.length;
    escapedPairs[pair] = bytes.reduceRight((word, byte) => (word << 8) | byte, 0);
  }
}

export interface EscapeProgress {
  /** Where the source was left. */
  readonly read: number;
  /** Where jsonText was left. */
  readonly written: number;
}

/** Bytes of `jsonText`; several times the longest record. */
const textBytes = 512 * 1024;

/**
 * What escapeJson writes into: one piece of memory for all logs of the process, because formatting is synchronous, and the kernel gives it only
 * when it is first written to. A constant of this module, because V8 then writes to it an eighth faster than to an argument.
 */
export const jsonText = Buffer.allocUnsafeSlow(textBytes);
const textWords = new DataView(jsonText.buffer, jsonText.byteOffset, jsonText.length);

/**
 * Escapes `source`, which is valid UTF-8, from `read` on into jsonText at `written`, with `between` for each "\n". Stops at the source's end, or
 * after a "\n" when fewer than `reserve` bytes are left; so `reserve` is what one line and four times `between` need at most.
 */
export function escapeJson(
  source: Buffer,
  read: number,
  written: number,
  between: Uint8Array,
  reserve: number,
): EscapeProgress {
  const words = new DataView(source.buffer, source.byteOffset, source.length);
  const full = jsonText.length - reserve;
  const end = source.length;
  const lastWord = end - 4;
  let from = read;
  let at = written;
  while (from <= lastWord) {
    const word = words.getUint32(from, true) | 0;
    textWords.setUint32(at, word, true);
    const controls = (word - 0x20202020) & ~word & 0x80808080;
    const marks = marksIn(word);
    if ((controls | marks) === 0) {
      from += 4;
      at += 4;
      continue;
    }
    if (((controls | word) & 0x80808080) === 0) {
      const first = (word & 0x7f) | ((word >> 1) & 0x3f80);
      const second = ((word >> 16) & 0x7f) | ((word >> 17) & 0x3f80);
      textWords.setUint32(at, escapedPairs[first]!, true);
      at += escapedPairLengths[first]!;
      textWords.setUint32(at, escapedPairs[second]!, true);
      at += escapedPairLengths[second]!;
      from += 4;
      continue;
    }
    const escapes = controls | marks;
    const plain = (31 - Math.clz32(escapes & -escapes)) >> 3;
    from += plain;
    at += plain;
    const byte = source[from++]!;
    if (byte === newline) {
      jsonText.set(between, at);
      at += between.length;
      if (at > full) return { read: from, written: at };
    } else if (byte === quote || byte === backslash) {
      jsonText[at] = backslash;
      jsonText[at + 1] = byte;
      at += 2;
    } else {
      at += escapeControl(byte, at);
    }
  }
  for (; from < end; from++) {
    const byte = source[from]!;
    if (byte === newline) {
      jsonText.set(between, at);
      at += between.length;
    } else if (byte < 0x20) {
      at += escapeControl(byte, at);
    } else {
      if (byte === quote || byte === backslash) jsonText[at++] = backslash;
      jsonText[at++] = byte;
    }
  }
  return { read: from, written: at };
}

/**
 * The top bit of the lowest byte in `word` that is a quote or a backslash; 0 if there is none. Bits above that one mean nothing, as the subtractions
 * borrow upwards (the test for a zero byte in a word, twice). The same is true of `controls` above.
 */
function marksIn(word: number): number {
  const quotes = word ^ 0x22222222;
  const backslashes = word ^ 0x5c5c5c5c;
  return (((quotes - 0x01010101) & ~quotes) | ((backslashes - 0x01010101) & ~backslashes)) & 0x80808080;
}

/** Returns the bytes that it took. */
function escapeControl(byte: number, at: number): number {
  const letter = shortEscapes[byte]!;
  if (letter !== 0) {
    jsonText[at] = backslash;
    jsonText[at + 1] = letter;
    return 2;
  }
  jsonText.set(unicodeEscape, at);
  jsonText[at + 4] = hexDigits[byte >> 4]!;
  jsonText[at + 5] = hexDigits[byte & 0xf]!;
  return 6;
}
