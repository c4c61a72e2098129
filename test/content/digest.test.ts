import assert from "node:assert/strict";
import { test } from "node:test";
import { digestAlgorithms, parseDigest, readDigest } from "../../src/content/mod.ts";
import { ShiplogError } from "../../src/error.ts";

test("digest is read in parts when its algorithm is known and its length right", () => {
  for (const [algorithm, length] of Object.entries(digestAlgorithms)) {
    assert.deepEqual(readDigest(`${algorithm}:${"a".repeat(length)}`), { algorithm, hex: "a".repeat(length) });
  }
});

test("digest is refused in go-digest's words when it is none", () => {
  const hex = "0".repeat(64);
  for (const text of [
    "",
    "sha256",
    "sha256:",
    `:${hex}`,
    `sha256:${hex}/..`,
    `SHA256:${hex}`,
    `sha256::${hex}`,
    `sha256:${"G".repeat(64)}`,
    `sha256:${hex}\n`,
  ]) {
    assert.equal(readDigest(text), "invalid checksum digest format", text);
  }
  for (const text of ["md5:d41d8cd98f00b204e9800998ecf8427e", `toString:${hex}`.toLowerCase(), `sha256+b64:${hex}`]) {
    assert.equal(readDigest(text), "unsupported digest algorithm", text);
  }
  for (const text of [`sha256:${hex}0`, "sha256:00", `sha512:${hex}`]) {
    assert.equal(readDigest(text), "invalid checksum digest length", text);
  }
  assert.throws(
    () => parseDigest("sha256:00"),
    (error) => error instanceof ShiplogError && error.class === "InvalidArgument",
  );
});
