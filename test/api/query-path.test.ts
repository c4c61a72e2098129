import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import fc from "fast-check";
import { parsePath, parsePrefix, pathOf } from "../../src/api/query-path.ts";
import { kinds, type RowName, type Stretch, tableName } from "../../src/projections/mod.ts";

const image = (key: string): RowName => ({ table: "image", namespace: "docker", key });
const entry = (key: string): RowName => ({ table: "entry", namespace: "kube", key });

const paths: readonly [name: RowName, path: string][] = [
  [image("redis/3.2"), "/docker/images/redis/3.2"],
  [entry("pods/redis"), "/kube/pods/redis"],
  [entry("lb"), "/kube/lb"],
  [{ table: "namespace", namespace: "kube", key: "kube" }, "/kube/namespaces/kube"],
  [{ table: "event", namespace: "kube", key: "/my/topic" }, "/kube/events/%2Fmy/topic"],
  [image("a//b/"), "/docker/images/a/%2Fb%2F"],
  [image("100%*"), "/docker/images/100%25%2A"],
  [image("größe ж"), "/docker/images/größe%20ж"],
  [image("\u202e\n"), "/docker/images/%E2%80%AE%0A"],
  [entry("images/mine"), "/kube/entries/images/mine"],
  [entry("entries/x"), "/kube/entries/entries/x"],
];

for (const [name, path] of paths) {
  test(`path ${path} names the row ${name.table}/${JSON.stringify(name.key)}, and back`, () => {
    assert.equal(pathOf(name), path);
    assert.deepEqual(parsePath(path), name);
  });
}

test("path of an entry also has the name of its table", () => {
  assert.deepEqual(parsePath("/kube/entries/pods/redis"), entry("pods/redis"));
});

const refused: readonly [path: string, why: RegExp][] = [
  ["", /begins with \//],
  ["kube/pods", /begins with \//],
  ["/kube//pods", /a second one in a name is %2F/],
  ["/kube/pods//", /a second one in a name is %2F/],
  ["/kube/p*ds", /an asterisk in a name is %2A/],
  ["/kube/50%", /a percent sign in a name is %25/],
  ["/kube/%ff", /two hex digits of a byte of UTF-8/],
  ["/ku be/pods", /namespace of path .* identifier/],
];

for (const [path, why] of refused) {
  test(`path ${JSON.stringify(path)} is refused`, () => {
    for (const parse of [parsePath, parsePrefix]) {
      assert.throws(() => parse(path), { name: "ShiplogError", class: "InvalidArgument", message: why });
    }
  });
}

test("a path that can take several rows names none", () => {
  for (const path of ["/", "/kube", "/kube/images", "/kube/pods/", "/kube/pods*"]) {
    assert.throws(() => parsePath(path), { class: "InvalidArgument" }, path);
    parsePrefix(path);
  }
});

const takes = (prefix: string, ...names: readonly RowName[]) => names.map((name) => parsePrefix(prefix).matches(name));

test("a prefix takes whole segments, what is below a slash, or what begins so", () => {
  const names = [entry("pods/redis"), entry("pods/redis/0"), entry("pods/redis2")];
  assert.deepEqual(takes("/kube/pods/redis", ...names), [true, true, false]);
  assert.deepEqual(takes("/kube/pods/redis/", ...names), [false, true, false]);
  assert.deepEqual(takes("/kube/pods/redis*", ...names), [true, true, true]);
  assert.deepEqual(takes("/", ...names), [true, true, true]);
  assert.deepEqual(takes("/kub", ...names), [false, false, false]);
  assert.deepEqual(takes("/kub*", ...names), [true, true, true]);
});

test("a prefix takes an entry by its own name and among the entries, and never by the name of another table", () => {
  const names = [entry("pods/redis"), entry("images/mine"), { ...image("mine"), namespace: "kube" }];
  assert.deepEqual(takes("/kube/entries", ...names), [true, true, false]);
  assert.deepEqual(takes("/kube/images", ...names), [false, false, true]);
  assert.deepEqual(takes("/kube/im*", ...names), [false, false, true]);
  assert.deepEqual(takes("/kube/entries/images/mine", ...names), [false, true, false]);
  assert.deepEqual(takes("/kube/pods", ...names), [true, false, false]);
});

const segment = fc.oneof(
  fc.constantFrom("", "a", "ab", "images", "entries", "e", "%", "*", " ", "a*", "%2F", "\u0000", "\u202e", "é", "😀"),
  fc.string({ unit: "grapheme", maxLength: 3 }),
);
const key = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join("/"));
const name: fc.Arbitrary<RowName> = fc.record(
  { table: fc.constantFrom(...kinds), namespace: fc.constantFrom("k", "ku", "kube", "k.u"), key },
  { noNullPrototype: true },
);

test("every row has one path, which leads back to it", () => {
  fc.assert(
    fc.property(name, (row) => {
      const path = pathOf(row);
      assert.deepEqual(parsePath(path), row);
      assert.match(path, /^[^\s*]+$/);
    }),
    { numRuns: 2_000 },
  );
});

/** Whether a stretch holds the row, in the words of its definition. */
function holds(stretch: Stretch, row: RowName): boolean {
  if (stretch.table !== row.table) return false;
  if (stretch.key === undefined) return row.namespace.startsWith(stretch.namespace);
  if (stretch.namespace !== row.namespace) return false;
  return stretch.exact === true ? row.key === stretch.key : row.key.startsWith(stretch.key);
}

test("a prefix made of any part of a path takes the row, and its stretches hold the row once", () => {
  fc.assert(
    fc.property(name, fc.nat(), fc.constantFrom("", "/", "*"), (row, at, ending) => {
      const path = pathOf(row);
      const ends = [...path.matchAll(/\/|$/g)].map(({ index }) => index).slice(1);
      const stem = path.slice(0, ends[at % ends.length]!);
      const prefix = `${stem}${ending}`;
      const { matches, stretches } = parsePrefix(prefix);
      const expected = ending !== "/" || stem !== path;
      assert.equal(matches(row), expected, prefix);
      if (expected) assert.equal(stretches.filter((stretch) => holds(stretch, row)).length, 1, prefix);
    }),
    { numRuns: 3_000 },
  );
});

test("what a prefix takes lies in its stretches, and tables other than entries have nothing else there", () => {
  fc.assert(
    fc.property(name, name, fc.constantFrom("", "/", "*"), (of, row, ending) => {
      const { matches, stretches } = parsePrefix(`${pathOf(of)}${ending}`);
      const held = stretches.filter((stretch) => holds(stretch, row)).length;
      if (matches(row)) assert.equal(held, 1);
      else if (row.table !== "entry") assert.equal(held, 0);
    }),
    { numRuns: 3_000 },
  );
});

test("the reference of paths tells of every table and of no other", async () => {
  const page = await readFile(new URL("../../docs/reference/paths.md", import.meta.url), "utf8");
  const section = page.slice(page.indexOf("| table |"), page.indexOf("An entry is there"));
  const told = [...section.matchAll(/^\| (`.*?`) \|/gm)].flatMap(([, cell]) => cell!.replaceAll("`", "").split(", "));
  assert.deepEqual(told.sort(), kinds.map((kind) => tableName(kind)).sort());
});
