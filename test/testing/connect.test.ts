/** Connecting to what is no runtime, or one of an unknown line. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { connect, containerd16, containerd17, dialectOf, shiplog } from "../../src/testing/mod.ts";
import { temporaryDirectory } from "../harness/temporary.ts";

test("connecting to nothing is refused, whether or not the dialect is named", async (t) => {
  const address = join(await temporaryDirectory(t), "nobody.sock");
  await assert.rejects(connect({ address }), /UNAVAILABLE/);
  await assert.rejects(connect({ address, dialect: shiplog }), /UNAVAILABLE/);
});

test("a dialect is told by the version that a runtime reports", () => {
  assert.equal(dialectOf("1.6.20+shiplog.0.1.0"), shiplog);
  assert.equal(dialectOf("1.6.20~ds1"), containerd16);
  assert.equal(dialectOf("v1.7.24"), containerd17);
  assert.equal(dialectOf("2.1.0"), undefined);
});
