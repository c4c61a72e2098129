/**
 * Regular expressions of the filter language. containerd's are RE2's, in Go's syntax, and match in linear time; ours are
 * JavaScript's, which may backtrack for ever. This file owns both differences: it rewrites what the syntaxes spell
 * differently, and it keeps matching bounded.
 *
 * What RE2 refuses (look-around, back references) is refused here too. Of what RE2 takes, Unicode classes (`\p{Greek}`) are not
 * understood. A refused expression is no error: it matches nothing, as in containerd.
 */
import { setFlagsFromString } from "node:v8";

/** Characters of a regular expression at most; a longer one matches nothing. */
export const EXPRESSION_LENGTH_MAX = 4096;

/** RE2's bound on a counted repetition. */
const REPETITION_MAX = 1000;

// V8 then goes over to its own linear matcher once an expression has backtracked too much. That matcher takes only expressions
// without flags, hence the rewriting of `(?i)` and the like below.
setFlagsFromString("--enable-experimental-regexp-engine-on-excessive-backtracks");

/** The same expression in JavaScript's syntax, to be searched for anywhere; undefined when it is refused. */
export function expression(re2: string): RegExp | undefined {
  if (re2.length > EXPRESSION_LENGTH_MAX) return undefined;
  try {
    return new RegExp(new Translation(re2).whole());
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

interface Flags {
  readonly fold: boolean;
  readonly lines: boolean;
  readonly dotAll: boolean;
}

type Range = readonly [from: number, to: number];

const posix: Readonly<Record<string, string>> = {
  alnum: "0-9A-Za-z",
  alpha: "A-Za-z",
  ascii: "\\x00-\\x7f",
  blank: "\\t ",
  cntrl: "\\x00-\\x1f\\x7f",
  digit: "0-9",
  graph: "!-~",
  lower: "a-z",
  print: " -~",
  punct: "!-\\/:-@\\[-`{-~",
  space: "\\t-\\r ",
  upper: "A-Z",
  word: "0-9A-Za-z_",
  xdigit: "0-9A-Fa-f",
};
const perl: Readonly<Record<string, string>> = { d: "0-9", s: "\\t\\n\\f\\r ", w: "0-9A-Za-z_" };
const controls: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };

/** Letters between A and Z, or a and z, within a range, moved to the other case: what folding adds to a class. */
function otherCase([from, to]: Range): Range[] {
  const moved: Range[] = [];
  for (const [first, last, distance] of [[0x41, 0x5a, 0x20] as const, [0x61, 0x7a, -0x20] as const]) {
    const low = Math.max(from, first);
    const high = Math.min(to, last);
    if (low <= high) moved.push([low + distance, high + distance]);
  }
  return moved;
}

const unit = (code: number): string => `\\u${code.toString(16).padStart(4, "0")}`;
const span = ([from, to]: Range): string => (from === to ? unit(from) : `${unit(from)}-${unit(to)}`);

/** One pass over an expression. Throws SyntaxError on what is refused. */
class Translation {
  readonly #input: string;
  #at = 0;

  constructor(input: string) {
    this.#input = input;
  }

  whole(): string {
    const output = this.#alternatives({ fold: false, lines: false, dotAll: false });
    if (this.#at < this.#input.length) throw new SyntaxError("unexpected )");
    return output;
  }

  /** Up to the end of the group, its `)` left unread. */
  #alternatives(given: Flags): string {
    let flags = given;
    let output = "";
    while (this.#at < this.#input.length && this.#input[this.#at] !== ")") {
      const set = this.#take(/\(\?([imsU]*)(?:-([imsU]+))?\)/y);
      if (set !== undefined) flags = withFlags(flags, set);
      else output += this.#item(flags);
    }
    return output;
  }

  #item(flags: Flags): string {
    const character = String.fromCodePoint(this.#input.codePointAt(this.#at)!);
    this.#at += character.length;
    switch (character) {
      case "(":
        return this.#group(flags);
      case "[":
        return this.#characterClass(flags);
      case "\\":
        return this.#escape(flags);
      case ".":
        return flags.dotAll ? "[^]" : "[^\\n]";
      case "^":
        return flags.lines ? "(?<![^\\n])" : "^";
      case "$":
        return flags.lines ? "(?![^\\n])" : "$";
      case "{":
        return this.#repetition();
      case "*":
      case "+":
      case "?":
      case "|":
        return character;
      default:
        return literal(character, flags);
    }
  }

  #group(flags: Flags): string {
    const set = this.#take(/\?([imsU]*)(?:-([imsU]+))?:/y);
    if (set === undefined && this.#take(/\?P?<\w+>/y) === undefined && this.#input[this.#at] === "?") {
      throw new SyntaxError("look-around or unknown group");
    }
    const inner = this.#alternatives(set === undefined ? flags : withFlags(flags, set));
    if (this.#input[this.#at++] !== ")") throw new SyntaxError("missing )");
    return `(?:${inner})`;
  }

  #repetition(): string {
    const count = this.#take(/(\d+)(?:,(\d*))?\}/y);
    if (count === undefined) return "\\{";
    if (Number(count[1]) > REPETITION_MAX || Number(count[2] ?? 0) > REPETITION_MAX)
      throw new SyntaxError("repetition too large");
    return `{${count[0]}`;
  }

  #escape(flags: Flags): string {
    const quoted = this.#take(/Q([\s\S]*?)(?:\\E|$)/y);
    if (quoted !== undefined) return [...(quoted[1] ?? "")].map((character) => literal(character, flags)).join("");
    const anchor = this.#take(/[AzbB]/y)?.[0];
    if (anchor !== undefined) return anchor === "A" ? "^" : anchor === "z" ? "$" : `\\${anchor}`;
    const set = this.#take(/[dswDSW]/y)?.[0];
    if (set !== undefined) return `[${set < "a" ? "^" : ""}${perl[set.toLowerCase()]}]`;
    return literal(String.fromCodePoint(this.#escapedCode()), flags);
  }

  /** The character that an escape stands for, its backslash read already. */
  #escapedCode(): number {
    const hex = this.#take(/x(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2}))/y);
    if (hex !== undefined) return checkedCode(Number.parseInt(hex[1] ?? hex[2]!, 16));
    const octal = this.#take(/0[0-7]{0,2}|[1-7][0-7]{1,2}/y);
    if (octal !== undefined) return Number.parseInt(octal[0], 8);
    const character = this.#take(/[^0-9A-Za-z\u0080-\uffff]|[afnrtv]/y)?.[0];
    if (character === undefined) throw new SyntaxError("unknown escape");
    return controls[character] ?? character.charCodeAt(0);
  }

  #characterClass(flags: Flags): string {
    const negated = this.#take(/\^/y) !== undefined;
    let output = "";
    for (let first = true; first || this.#input[this.#at] !== "]"; first = false) {
      if (this.#at >= this.#input.length) throw new SyntaxError("missing ]");
      const named = this.#take(/\[:(\w+):\]/y);
      const set = named === undefined ? this.#take(/\\([dswDSW])/y) : undefined;
      if (named !== undefined) output += this.#named(named[1]!, flags);
      else if (set !== undefined) output += set[1]! < "a" ? `\\${set[1]}` : perl[set[1]!]!;
      else output += this.#range(flags);
    }
    this.#at++;
    return `[${negated ? "^" : ""}${output}]`;
  }

  #named(name: string, flags: Flags): string {
    const members = posix[name];
    if (members === undefined) throw new SyntaxError("unknown class");
    return flags.fold && (name === "lower" || name === "upper") ? posix.alpha! : members;
  }

  #range(flags: Flags): string {
    const from = this.#classMember();
    const to = this.#take(/-(?!\])/y) === undefined ? from : this.#classMember();
    if (to < from) throw new SyntaxError("bad range");
    const folded = flags.fold ? otherCase([from, to]) : [];
    return [[from, to] as const, ...folded].map(span).join("");
  }

  #classMember(): number {
    const code = this.#take(/\\/y) === undefined ? this.#input.codePointAt(this.#at++) : this.#escapedCode();
    if (code === undefined || code > 0xffff) throw new SyntaxError("character beyond the basic plane in a class");
    return code;
  }

  /** Reads what the sticky pattern matches here. */
  #take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#input);
    if (match === null) return undefined;
    this.#at = pattern.lastIndex;
    return match;
  }
}

function withFlags(flags: Flags, [, on = "", off = ""]: RegExpExecArray): Flags {
  return {
    fold: (flags.fold || on.includes("i")) && !off.includes("i"),
    lines: (flags.lines || on.includes("m")) && !off.includes("m"),
    dotAll: (flags.dotAll || on.includes("s")) && !off.includes("s"),
  };
}

/** One character to be matched as it is. Beyond the basic plane it is two units, kept together for a repetition that may follow. */
function literal(character: string, flags: Flags): string {
  if (character.length > 1) return `(?:${character})`;
  const code = character.charCodeAt(0);
  const folded = flags.fold ? otherCase([code, code]) : [];
  return folded.length === 0 ? unit(code) : `[${unit(code)}${folded.map(span).join("")}]`;
}

function checkedCode(code: number): number {
  if (code > 0x10ffff) throw new SyntaxError("character beyond Unicode");
  return code;
}
