import assert from "node:assert/strict";
import { test } from "node:test";
import { socketPathBytesMax, socketPathOfAddress, socketPathToListenAt } from "../../../src/shim/ttrpc/address.ts";

test("a shim's address is a file with the prefix and an abstract name without it", () => {
  assert.equal(socketPathOfAddress("unix:///run/containerd/s/ab"), "/run/containerd/s/ab");
  assert.equal(socketPathOfAddress("/containerd-shim/ns/id/shim.sock"), "\0/containerd-shim/ns/id/shim.sock");
  assert.equal(socketPathOfAddress("\0name"), "\0name");
});

test("an address is refused when it is empty or does not fit in a socket address", () => {
  assert.throws(() => socketPathOfAddress("unix://"), RangeError);
  assert.throws(() => socketPathOfAddress(""), RangeError);
  assert.throws(() => socketPathOfAddress(`unix:///${"a".repeat(socketPathBytesMax)}`), RangeError);
  assert.equal(socketPathOfAddress(`unix:///${"a".repeat(socketPathBytesMax - 1)}`).length, socketPathBytesMax);
});

test("a path to listen at is refused when it would silently be an abstract socket", () => {
  assert.equal(socketPathToListenAt("/run/x.sock"), "/run/x.sock");
  assert.equal(socketPathToListenAt("unix:///run/x.sock"), "/run/x.sock");
  assert.equal(socketPathToListenAt("\0x"), "\0x");
  assert.throws(() => socketPathToListenAt("x.sock"), RangeError);
});
