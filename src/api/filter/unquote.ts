/**
 * Quoted strings of the filter language, which are Go's, except that `/` and `|` may quote as `"` does. Source: filters/quote.go.
 */

const letters: Readonly<Record<string, number>> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11, "\\": 92 };
const escaped = /\\(?:([0-7]{3})|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([\s\S]))/y;
const CODE_POINT_MAX = 0x10ffff;
const BYTE_MAX = 0xff;

/**
 * The text within the quotes that `quoted` begins and ends with, or undefined when an escape stands for nothing. An octal or `\x`
 * escape is a byte, not a character; bytes that are no UTF-8 become U+FFFD.
 */
export function unquote(quoted: string): string | undefined {
  const quote = quoted[0];
  const body = quoted.slice(1, -1);
  if (!body.includes("\\")) return body;
  const parts: Buffer[] = [];
  let at = 0;
  for (let next = body.indexOf("\\"); next !== -1; next = body.indexOf("\\", at)) {
    escaped.lastIndex = next;
    const match = escaped.exec(body);
    const bytes = match === null ? undefined : escapedBytes(match, quote);
    if (bytes === undefined) return undefined;
    parts.push(Buffer.from(body.slice(at, next)), bytes);
    at = escaped.lastIndex;
  }
  parts.push(Buffer.from(body.slice(at)));
  return Buffer.concat(parts).toString();
}

function escapedBytes(
  [, octal, byte, short, long, letter]: RegExpExecArray,
  quote: string | undefined,
): Buffer | undefined {
  if (octal !== undefined || byte !== undefined) {
    const value = octal === undefined ? Number.parseInt(byte ?? "", 16) : Number.parseInt(octal, 8);
    return value > BYTE_MAX ? undefined : Buffer.of(value);
  }
  const point = short ?? long;
  if (point !== undefined) {
    const value = Number.parseInt(point, 16);
    return value > CODE_POINT_MAX ? undefined : Buffer.from(String.fromCodePoint(value));
  }
  if (letter === undefined) return undefined;
  if (letter === quote) return Buffer.from(letter);
  const value = letters[letter];
  return value === undefined ? undefined : Buffer.of(value);
}
