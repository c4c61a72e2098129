import assert from "node:assert/strict";
import test from "node:test";
import { ordered, sameAny, sameAnys, sameLabels } from "../../src/machines/maps.ts";

const own = (text: string) => JSON.parse(text) as Record<string, string>;

test("equal maps are ordered to equal bytes, whatever order they came in", () => {
  const a = ordered({ b: "2", a: "1", B: "3" });
  assert.equal(JSON.stringify(a), JSON.stringify(ordered({ B: "3", b: "2", a: "1" })));
  assert.deepEqual(Object.keys(a), ["B", "a", "b"]);
});

test("keys that every object inherits are keys like any other", () => {
  assert.deepEqual(Object.entries(ordered(own('{"__proto__":"x"}'))), [["__proto__", "x"]]);
  assert.equal(sameLabels(own('{"__proto__":"x"}'), own('{"__proto__":"x"}')), true);
  assert.equal(sameLabels(own('{"toString":"x"}'), { a: "x" }), false);
});

test("maps are the same when keys and values are", () => {
  assert.equal(sameLabels({ a: "1", b: "2" }, { b: "2", a: "1" }), true);
  assert.equal(sameLabels({ a: "1" }, { a: "1", b: "2" }), false);
  assert.equal(sameLabels({ a: "1" }, { a: "2" }), false);
});

test("anys are the same when type and bytes are", () => {
  const any = (typeUrl: string, ...bytes: number[]) => ({ typeUrl, value: Uint8Array.from(bytes) });
  assert.equal(sameAny(any("t", 1), any("t", 1)), true);
  assert.equal(sameAny(any("t", 1), any("t", 2)), false);
  assert.equal(sameAny(any("t", 1), any("t", 1, 2)), false);
  assert.equal(sameAny(any("t", 1), any("u", 1)), false);
  assert.equal(sameAny(null, any("t")), false);
  assert.equal(sameAny(null, null), true);
  assert.equal(sameAnys({ x: any("t", 1) }, { x: any("t", 1) }), true);
  assert.equal(sameAnys({ x: any("t", 1) }, { x: any("t", 2) }), false);
});
