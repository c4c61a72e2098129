import assert from "node:assert/strict";
import { test } from "node:test";
import { quoted } from "../../src/machines/quoted.ts";

/** Each as Go's strconv.Quote prints it, seen in containerd's messages. */
const texts: Readonly<Record<string, string>> = {
  "": '""',
  "a b": '"a b"',
  'a"b\\': '"a\\"b\\\\"',
  "\u0007\b\f\n\r\t\v": '"\\a\\b\\f\\n\\r\\t\\v"',
  "\u0001\u007f": '"\\x01\\x7f"',
  "é\u00a0\u2028": '"é\\u00a0\\u2028"',
  "😀\u{e0001}": '"😀\\U000e0001"',
  "\ufffd": '"\ufffd"',
};

test("quoted prints text as Go does when it is no plain text", () => {
  for (const [text, expected] of Object.entries(texts)) assert.equal(quoted(text), expected);
});
