/**
 * Paths: how rows are named to those who query, and which rows a prefix takes. Owns the grammar of docs/reference/paths.md, both ways;
 * reads no table.
 *
 * A row's name is `/NAMESPACE/TABLE/KEY`; an entry's is `/NAMESPACE/KEY` where its key does not begin with the name of a table. A path is
 * that name with some characters escaped, so prefixes are plain prefixes of names.
 */
import { ShiplogError } from "../error.ts";
import { quoted } from "../machines/mod.ts";
import { kinds, type RowName, type Selection, type Stretch, tableName } from "../projections/mod.ts";
import { identifier } from "./identifier.ts";

const kindByTable: ReadonlyMap<string, string> = new Map(kinds.map((kind) => [tableName(kind), kind]));
const tableByKind: ReadonlyMap<string, string> = new Map(kinds.map((kind) => [kind, tableName(kind)]));

/** Where the paths of clients' own names lead. */
const ENTRY = "entry";

/** A prefix as the tables take it. */
export interface Prefix extends Selection {
  /** The one namespace that it lies in, where it names one. */
  readonly namespace: string | undefined;
}

/** The path of a row. */
export function pathOf({ table, namespace, key }: RowName): string {
  const own = table === ENTRY && !kindByTable.has(firstSegment(key));
  const name = own ? `/${namespace}/${key}` : `/${namespace}/${tableByKind.get(table)}/${key}`;
  return name.replace(escaped, (character) =>
    Array.from(Buffer.from(character), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(""),
  );
}

/** What stands for something else in a path, or cannot be seen in one; and slashes that nothing stands between, or at the end. */
const escaped = /[%*\p{C}\p{Z}]|(?<=\/)\/|\/$/gu;

/** The row that a path names. @throws ShiplogError InvalidArgument when it is none, or names more than a row. */
export function parsePath(path: string): RowName {
  const { text, match } = read(path);
  const [namespace, rest] = cut(text.slice(1));
  if (match !== "segments") throw invalid(path, "a path to one row ends with its key");
  if (rest === undefined) throw invalid(path, "a path to one row is /NAMESPACE/TABLE/KEY, or /NAMESPACE/NAME");
  identifier(namespace, `namespace of path ${quoted(path)}`);
  const [table, key] = cut(rest);
  const kind = kindByTable.get(table);
  if (kind === undefined) return { table: ENTRY, namespace, key: rest };
  if (key === undefined) throw invalid(path, `${table} is a table, not a row`);
  return { table: kind, namespace, key };
}

/** The rows that a prefix takes. @throws ShiplogError InvalidArgument */
export function parsePrefix(prefix: string): Prefix {
  const { text, match } = read(prefix);
  const [namespace, rest] = cut(text.slice(1));
  const whole = rest !== undefined || (match !== "characters" && namespace !== "");
  if (whole) identifier(namespace, `namespace of path ${quoted(prefix)}`);
  const takes = matchers[match];
  return {
    namespace: whole ? namespace : undefined,
    stretches:
      rest === undefined
        ? kinds.map((table) => ({ table, namespace, ...(whole ? { key: "" } : {}) }))
        : [...stretchesIn(namespace, rest, match)],
    matches: (row) => namesOf(row).some((name) => takes(name, text)),
  };
}

/** How far a prefix reaches: the row and what is below it, only what is below, or whatever begins with these characters. */
type Match = "segments" | "below" | "characters";

const matchers: Readonly<Record<Match, (name: string, text: string) => boolean>> = {
  segments: (name, text) => name === text || name.startsWith(`${text}/`),
  below: (name, text) => name.startsWith(`${text}/`),
  characters: (name, text) => name.startsWith(text),
};

/** Without its ending, and with every escape as what it stands for. */
function read(path: string): { readonly text: string; readonly match: Match } {
  if (!path.startsWith("/")) throw invalid(path, "a path begins with /");
  const match = path.endsWith("*") ? "characters" : path.endsWith("/") ? "below" : "segments";
  const body = match === "segments" ? path : path.slice(0, -1);
  if (body.includes("*")) throw invalid(path, "* stands only at the end; an asterisk in a name is %2A");
  if (body.includes("//") || (match === "below" && body.endsWith("/"))) {
    throw invalid(path, "// has nothing between its slashes; a second one in a name is %2F");
  }
  try {
    return { text: decodeURIComponent(body), match };
  } catch (error) {
    throw invalid(path, "% begins the two hex digits of a byte of UTF-8; a percent sign in a name is %25", error);
  }
}

function* stretchesIn(namespace: string, rest: string, match: Match): Iterable<Stretch> {
  const [table, key] = cut(rest);
  const kind = kindByTable.get(table);
  if (key === undefined && match === "characters") {
    const begun = kinds.filter((each) => tableName(each).startsWith(table));
    yield* begun.map((each) => ({ table: each, namespace, key: "" }));
    if (!begun.includes(ENTRY)) yield { table: ENTRY, namespace, key: table };
  } else if (key === undefined && kind !== undefined) yield { table: kind, namespace, key: "" };
  else {
    const name = { table: kind ?? ENTRY, namespace, key: kind === undefined ? rest : key! };
    if (match === "characters") yield name;
    if (match === "segments") yield { ...name, exact: true };
    if (match !== "characters") yield { ...name, key: `${name.key}/` };
  }
}

/** An entry can always be found among the entries too. */
function namesOf({ table, namespace, key }: RowName): readonly string[] {
  const name = `/${namespace}/${tableByKind.get(table)}/${key}`;
  return table === ENTRY && !kindByTable.has(firstSegment(key)) ? [`/${namespace}/${key}`, name] : [name];
}

const firstSegment = (key: string): string => cut(key)[0];

/** What is before the first slash, and what is behind it. */
function cut(text: string): readonly [string, string | undefined] {
  const slash = text.indexOf("/");
  return slash === -1 ? [text, undefined] : [text.slice(0, slash), text.slice(slash + 1)];
}

function invalid(path: string, why: string, cause?: unknown): ShiplogError {
  const options = { reason: "InvalidPath", ...(cause !== undefined && { cause }) };
  return new ShiplogError("InvalidArgument", `path ${quoted(path)}: ${why}`, options);
}
