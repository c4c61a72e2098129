import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Adaptor, EXPRESSION_LENGTH_MAX, labelField, parseFilter } from "../../../src/api/filter/mod.ts";

const adaptorOf =
  (name: string, other: string, labels: Record<string, string> = {}): Adaptor =>
  ([field, ...rest]) => {
    if (field === "name") return name || undefined;
    if (field === "other") return other || undefined;
    return field === "labels" ? labelField(labels, rest) : undefined;
  };

const objects: Readonly<Record<string, Adaptor>> = {
  foo: adaptorOf("foo", "", { foo: "true" }),
  bar: adaptorOf("bar", ""),
  complex: adaptorOf("foo", "", { foo: "present", "more complex label": "present" }),
  barred: adaptorOf("bar", "", { bar: "true" }),
  quoted: adaptorOf("fooer", "", { 'more complex label with \\ and "': "present" }),
  dotted: adaptorOf("fooer", "", { 'more complex label with \\ and ".post': "present" }),
  sentence: adaptorOf("baz", "too complex, yo"),
  letters: adaptorOf("bazo", "abc"),
  compound: adaptorOf("compound", "", { foo: "omg_asdf.asdf-qwer", "containerd.io/a.b-c": "x" }),
};

function matches(...filters: string[]): string[] {
  const wanted = parseFilter(filters);
  return Object.entries(objects).flatMap(([name, adaptor]) => (wanted(adaptor) ? [name] : []));
}

const all = Object.keys(objects);

/** What containerd's own tests expect of these filters (filters/filter_test.go), and the rules beside them. */
const examples: readonly [filters: readonly string[], expected: readonly string[]][] = [
  [[], all],
  [[""], all],
  [["name==none", ""], all],
  [["name"], all],
  [["nothing"], []],
  [["labels.foo"], ["foo", "complex", "compound"]],
  [["labels.foo,name"], ["foo", "complex", "compound"]],
  [["labels.foo==true"], ["foo"]],
  [["labels.foo==omg_asdf.asdf-qwer"], ["compound"]],
  [["name==bar"], ["bar", "barred"]],
  [["name!=bar"], all.filter((name) => !name.startsWith("bar"))],
  [["name==bar,labels.bar"], ["barred"]],
  [
    ["name==bar", "name==baz"],
    ["bar", "barred", "sentence"],
  ],
  [['other=="too complex, yo"'], ["sentence"]],
  [["other~=[abc]+,name!=foo"], ["sentence", "letters"]],
  [["other~=/[abc]{1,2}/,name!=foo"], ["sentence", "letters"]],
  [["other~=|[abc]+|,name!=foo"], ["sentence", "letters"]],
  [['other~=/[abc]{0,1}"\\//,name!=foo'], []],
  [["name==bar,labels.bar==wrong"], []],
  [['name==foo,labels."more complex label"'], ["complex"]],
  [['labels."more complex label with \\\\ and \\""==present'], ["quoted"]],
  [['labels."more complex label with \\\\ and \\"".post==present'], ["dotted"]],
  [['labels."containerd.io/a.b-c"==x'], ["compound"]],
  [["  name  ==  bar"], ["bar", "barred"]],
  // An absent field is unlike any value but the empty one, and a pattern looks at it as the empty text.
  [["labels.foo!=true"], all.filter((name) => name !== "foo")],
  [['nothing!=""'], []],
  [["nothing~=^$"], all],
  [["nothing~=x"], []],
  [["name~=["], []],
  [["name~=(?=f)foo"], []],
  [["name~=^FOO$"], []],
  [["name~=(?i)^FOO$"], ["foo", "complex"]],
  [['name=="b\\x61r"'], ["bar", "barred"]],
  [['name=="\\142\\u0061\\U00000072"'], ["bar", "barred"]],
  [['name=="\\xff"'], []],
];

test("filters match as containerd's do", () => {
  for (const [filters, expected] of examples) {
    assert.deepEqual(matches(...filters), expected, JSON.stringify(filters));
  }
});

test("what is no filter is refused in containerd's words", () => {
  const refused = {
    "labels.|foo|==omg_asdf.asdf-qwer": "[labels. >|||< foo|==omg_asdf.asdf-qwer]: invalid quote encountered",
    'labels.?"x"==present': '[labels. >|?|< "x"==present]: expected field or quoted',
    "name==foo,": "[name==foo,]: expected field or quoted",
    "labels.": "[labels.]: expected field or quoted",
    "image~=,id?=?fbaq": "[image~= >|,|< id?=?fbaq]: expected value or quoted",
    "labels.ns/key==value": "[labels.ns >|/|< key==value]: quoted literal not terminated",
    "labels.key==/value": "[labels.key== >|/|< value]: quoted literal not terminated",
    "a=b": '[a >|=|< b]: unsupported operator "="',
    "a===b": '[a >|=|< ==b]: unsupported operator "==="',
    "a , b": '[a  >|,|<  b]: expected an operator ("=="|"!="|"~=")',
    'a=="\\q"': '[a== >|"|< \\q"]: illegal escape sequence',
    'a=="\\x1"': '[a== >|"|< \\x1"]: illegal numeric escape sequence',
    'a=="\\777"': '[a== >|"|< \\777"]: unquoting failed: quote syntax error',
    'name=="a"b': '[name=="a" >|b|< ]: unexpected input: b',
    "name==/foo/": "[name== >|/|< foo/]: invalid quote encountered",
  };
  for (const [filter, text] of Object.entries(refused)) {
    assert.throws(
      () => parseFilter([filter]),
      { class: "InvalidArgument", message: `filters: parse error: ${text}: invalid argument` },
      filter,
    );
  }
  assert.throws(() => parseFilter(["name==a", "="]), { class: "InvalidArgument" });
  for (const filter of ["a\0", "a==\ufffd", " "])
    assert.throws(() => parseFilter([filter]), { class: "InvalidArgument" });
});

/** RE2 pattern, what it finds itself in, and what it does not. */
const expressions: readonly [pattern: string, found: readonly string[], missed: readonly string[]][] = [
  ["^/tasks/", ["/tasks/exit"], ["/images/create"]],
  ["^a.c$", ["abc", "a\u2028c"], ["a\nc"]],
  ["(?s)^a.c$", ["a\nc"], []],
  ["(?m)^b$", ["a\nb\nc"], ["ab"]],
  ["^\\s$", [" ", "\t"], ["\u00a0", "\v"]],
  ["^[[:alpha:]_]+$", ["ab_"], ["a1"]],
  ["^\\Qa.b+\\E$", ["a.b+"], ["axb+"]],
  ["^(?P<name>a)+$", ["aa"], ["ab"]],
  ["^[]a]+$", ["]a"], ["b"]],
  ["^[^a-c]$", ["d", "-"], ["b"]],
  ["^[a\\-c]+$", ["a-c"], ["b"]],
  ["(?i)^[a-c]X$", ["Bx"], ["dx"]],
  ["^(?i:a)b$", ["Ab"], ["aB"]],
  ["^a{2}$", ["aa"], ["a"]],
  ["^a{,2}$", ["a{,2}"], ["aa"]],
  ["^\\x41\\x{42}\\103$", ["ABC"], []],
  ["^\\w+\\b", ["abc"], ["é"]],
  ["\\Aa\\z", ["a"], ["a\n"]],
  ["^a\\/b\\-c$", ["a/b-c"], []],
  ["^é+$", ["éé"], ["e"]],
  ["^😀{2}$", ["😀😀"], ["😀"]],
  // Refused by RE2: these match nothing.
  ["a(?!b)", [], ["ac"]],
  ["(a)\\1", [], ["aa"]],
  ["a**", [], ["a"]],
  ["a{1001}", [], ["a".repeat(1001)]],
  ["(", [], ["("]],
  [")", [], [")"]],
  ["[b-a]", [], ["a", "b"]],
];

test("regular expressions match as RE2's do", () => {
  for (const [pattern, found, missed] of expressions) {
    const quotedPattern = `name~="${pattern.replaceAll("\\", "\\\\")}"`;
    const wanted = parseFilter([quotedPattern]);
    for (const text of found)
      assert.ok(
        wanted(() => text),
        `${pattern} in ${JSON.stringify(text)}`,
      );
    for (const text of missed) assert.ok(!wanted(() => text), `${pattern} not in ${JSON.stringify(text)}`);
  }
});

test("a regular expression that would backtrack for ever is answered at once", () => {
  const wanted = parseFilter(["name~=^(a+)+$"]);
  const folded = parseFilter(["name~=(?i)^((a|aa)+)+$"]);
  const text = `${"a".repeat(60)}b`;
  assert.ok(!wanted(() => text));
  assert.ok(!folded(() => text));
});

test("a regular expression longer than its bound matches nothing", () => {
  assert.ok(parseFilter([`name~=${"a?".repeat(EXPRESSION_LENGTH_MAX / 2)}`])(() => ""));
  assert.ok(!parseFilter([`name~=${"a?".repeat(EXPRESSION_LENGTH_MAX / 2)}b?`])(() => "a"));
});

test("any text in double quotes is found again as a value and as a label's key", () => {
  const text = fc.string({ unit: "grapheme" }).filter((value) => !/[\n\0\ufffd]/.test(value));
  fc.assert(
    fc.property(text, text, (key, value) => {
      const quote = (raw: string) => `"${raw.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
      const wanted = parseFilter([`labels.${quote(key)}==${quote(value)}`]);
      assert.ok(wanted(adaptorOf("", "", { [key]: value })));
      assert.ok(!wanted(adaptorOf("", "", { [key]: `${value}.` })));
    }),
  );
});

test("no text makes the parser or a match throw anything but InvalidArgument", () => {
  const pieces = fc.constantFrom(
    "a",
    ".",
    ",",
    "==",
    "~=",
    "!=",
    '"',
    "/",
    "|",
    "\\",
    "x41",
    "[",
    "]",
    "(",
    ")",
    "?",
    "*",
    "{",
    "1}",
    " ",
    "é",
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
      try {
        parseFilter([parts.join("")])(() => "a");
      } catch (error) {
        assert.equal((error as { class?: string }).class, "InvalidArgument");
      }
    }),
    { numRuns: 2000 },
  );
});
