/**
 * How a command is written: a form, as `snapshots --snapshotter SNAPSHOTTER prepare KEY [PARENT] [--lease LEASE] [LABELS]`. Words in
 * capitals are arguments by that name in small letters; what stands in brackets is left out where it is empty. Owns writing and reading
 * a line; knows no command.
 */
import type { Labels } from "../events/catalogue.ts";

export type Argument = string | number | boolean | Labels;
export type Arguments = Readonly<Record<string, Argument>>;

/** One place of a form. */
type Place =
  | { readonly kind: "word"; readonly word: string }
  | { readonly kind: "argument"; readonly name: string; readonly optional: boolean }
  | { readonly kind: "option"; readonly option: string; readonly name: string; readonly optional: boolean }
  | { readonly kind: "flag"; readonly option: string; readonly name: string }
  | { readonly kind: "labels"; readonly name: string };

const placePattern = /\[([^\]]*)\]|(--\S+) ([A-Z]+)|(\S+)/g;

export class Form {
  readonly text: string;
  readonly #places: readonly Place[];

  constructor(text: string) {
    this.text = text;
    this.#places = [...text.matchAll(placePattern)].map(([, bracketed, option, name, word]) => {
      if (option !== undefined) return { kind: "option", option, name: small(name!), optional: false };
      if (word !== undefined)
        return isName(word) ? { kind: "argument", name: small(word), optional: false } : { kind: "word", word };
      return bracketedPlace(bracketed!);
    });
  }

  /** The arguments that are given and need not be, each with what stands for nothing. */
  empty(given: Arguments): readonly (readonly [string, Argument])[] {
    return this.#places.flatMap((place) => {
      if (place.kind === "word") return [];
      const value = given[place.name];
      if (place.kind === "labels") return Object.keys(value ?? {}).length > 0 ? [[place.name, {}] as const] : [];
      if (place.kind === "flag") return value === true ? [[place.name, false] as const] : [];
      return place.optional && !isEmpty(value) ? [[place.name, typeof value === "number" ? 0 : ""] as const] : [];
    });
  }

  /** The line that says so. */
  print(given: Arguments): string {
    return this.#places.flatMap((place) => printed(place, given)).join(" ");
  }

  /** The arguments of a line, what it leaves out being empty; undefined when it is of another form. */
  read(line: string): Arguments | undefined {
    const words = split(line);
    const read: Record<string, Argument> = {};
    // Literal words and options first: what is left over are the arguments in their order.
    for (const place of this.#places) {
      if (place.kind === "word") {
        const at = words.indexOf(place.word);
        if (at === -1) return undefined;
        words.splice(at, 1);
      } else if (place.kind === "flag" || place.kind === "option") {
        const at = words.indexOf(place.option);
        if (at === -1 && place.kind === "option" && !place.optional) return undefined;
        if (place.kind === "flag") read[place.name] = at !== -1;
        else read[place.name] = argumentOf(place.name, at === -1 ? "" : unquoted(words[at + 1] ?? ""));
        if (at !== -1) words.splice(at, place.kind === "flag" ? 1 : 2);
      }
    }
    for (const place of this.#places) {
      if (place.kind === "labels") {
        const pairs = words.splice(0).map((word) => {
          const [key, value] = separated(word);
          return [unquoted(key), unquoted(value)] as const;
        });
        read[place.name] = Object.fromEntries(pairs);
      } else if (place.kind === "argument") {
        const isLeftOut = words[0] === undefined || (place.optional && isPair(words[0]));
        if (isLeftOut && !place.optional) return undefined;
        read[place.name] = isLeftOut ? "" : unquoted(words.shift()!);
      }
    }
    return words.length === 0 ? read : undefined;
  }
}

function bracketedPlace(text: string): Place {
  const [first, name] = text.split(" ") as [string, string | undefined];
  if (first === "LABELS") return { kind: "labels", name: "labels" };
  if (!first.startsWith("--")) return { kind: "argument", name: small(first), optional: true };
  if (name === undefined) return { kind: "flag", option: first, name: first.slice(2) };
  return { kind: "option", option: first, name: small(name), optional: true };
}

function printed(place: Place, given: Arguments): readonly string[] {
  if (place.kind === "word") return [place.word];
  const value = given[place.name];
  switch (place.kind) {
    case "flag":
      return value === true ? [place.option] : [];
    case "labels":
      return Object.entries((value ?? {}) as Labels).map(([key, each]) => `${quoted(key)}=${quoted(each)}`);
    case "argument":
      return place.optional && isEmpty(value) ? [] : [quoted(String(value ?? ""))];
    case "option":
      return place.optional && isEmpty(value) ? [] : [place.option, quoted(String(value ?? ""))];
    default:
      return place satisfies never;
  }
}

const isEmpty = (value: Argument | undefined): boolean => value === undefined || value === "" || value === 0;
const isName = (word: string): boolean => /^[A-Z]+$/.test(word);
const small = (name: string): string => name.toLowerCase();

const plain = /^[\w@.,:/+-]+$/;
const quoted = (text: string): string => (plain.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
const unquoted = (text: string): string => (text.startsWith("'") ? text.slice(1, -1).replaceAll("'\\''", "'") : text);

/** The options that are numbers; 0 is none. */
const numbers = new Set(["offset", "total"]);
const argumentOf = (name: string, text: string): Argument => (numbers.has(name) ? Number(text) : text);

const wordPattern = /(?:'(?:[^']|'\\'')*'|[^\s'])+/g;
const split = (line: string): string[] => line.match(wordPattern) ?? [];

const beforeEquals = /^(?:'(?:[^']|'\\'')*'|[^='])*/;
const isPair = (word: string): boolean => beforeEquals.exec(word)![0] !== word;

/** A pair at its first equals sign outside of quotes. */
function separated(pair: string): readonly [string, string] {
  const key = beforeEquals.exec(pair)![0];
  return [key, pair.slice(key.length + 1)];
}
