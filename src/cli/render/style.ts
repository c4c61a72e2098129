/** Colour where it helps: on a terminal, and not when NO_COLOR is set. Both are `styleText`'s own rules for the stream. */
import { styleText } from "node:util";

type Format = Parameters<typeof styleText>[0];

/** Styles text for one stream, or leaves it plain. */
export type Style = (format: Format, text: string) => string;

export const styleFor =
  (stream: NodeJS.WriteStream): Style =>
  (format, text) =>
    styleText(format, text, { stream });

export const plain: Style = (_format, text) => text;

/** The format of a fact's type: what failed stands out, what is only an intent steps back. */
export function typeFormat(type: string): Format {
  if (/(Failed|Lost|Oomed|Aborted)$/.test(type)) return "red";
  if (/(ing)$/.test(type)) return "dim";
  return "bold";
}
