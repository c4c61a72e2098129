/** Text as Go's `%q` prints it, which is how containerd's messages name what they are about. Source: Go's strconv/quote.go. */

const letters: ReadonlyMap<number, string> = new Map(
  Object.entries({
    "\x07": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    '"': '\\"',
    "\\": "\\\\",
  }).map(([character, sequence]) => [character.codePointAt(0)!, sequence]),
);

/** What Go's unicode.IsPrint takes: letters, marks, numbers, punctuation, symbols, and of all spaces the ASCII one. */
const printable = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u;

/** A name as containerd quotes it. */
export function quoted(text: string): string {
  const plain = printable.test(text) && !text.includes('"') && !text.includes("\\");
  return `"${plain ? text : Array.from(text, escaped).join("")}"`;
}

function escaped(character: string): string {
  const point = character.codePointAt(0)!;
  const letter = letters.get(point);
  if (letter !== undefined) return letter;
  if (printable.test(character)) return character;
  const digits = point.toString(16);
  if (point < 0x80) return `\\x${digits.padStart(2, "0")}`;
  return point < 0x10000 ? `\\u${digits.padStart(4, "0")}` : `\\U${digits.padStart(8, "0")}`;
}
