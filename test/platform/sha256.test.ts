import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { sha256 } from "../../src/platform/sha256.ts";

test("sha256 is what node:crypto has for any text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 300 }), (text) => {
      assert.equal(sha256(text), createHash("sha256").update(text).digest("hex"));
    }),
  );
});
