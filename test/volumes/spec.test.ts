import assert from "node:assert/strict";
import { test } from "node:test";
import { changeSpec, withMounts } from "../../src/volumes/spec.ts";
import { wishesOf } from "../../src/volumes/wishes.ts";

const spec = (text: string) => ({ typeUrl: "t", value: Buffer.from(text) });
const textOf = ({ value }: { readonly value: Uint8Array }) => Buffer.from(value).toString();

test("a spec keeps what is not changed, numbers beyond JavaScript's too", () => {
  const text =
    '{"process":{"rlimits":[{"hard":18446744073709551615,"soft":1024}]},"linux":{"resources":{"memory":{"limit":-9223372036854775808}}},"a":1.50,"b":1e3,"__proto__":{"x":1}}';
  assert.equal(textOf(changeSpec(spec(text), () => {})), text);
});

test("mounts are added behind those that a spec has", () => {
  const bind = { source: "/s", destination: "/d", readOnly: true };
  const added = '{"destination":"/d","type":"bind","source":"/s","options":["rbind","ro"]}';
  assert.equal(
    textOf(withMounts(spec('{"mounts":[{"destination":"/proc"}]}'), [bind])),
    `{"mounts":[{"destination":"/proc"},${added}]}`,
  );
  assert.equal(textOf(withMounts(spec('{"mounts":null}'), [bind])), `{"mounts":[${added}]}`);
  assert.throws(() => withMounts(spec("[]"), [bind]), TypeError);
  assert.throws(() => withMounts(spec("{"), [bind]), SyntaxError);
});

test("labels ask for volumes, the outer of two paths first", () => {
  const labels = { "shiplog.volume/b": "/v/in:ro", other: "/x", "shiplog.volume/a": "/v", "shiplog.volume/c": "/w:rw" };
  assert.deepEqual(wishesOf(labels), [
    { volume: "a", path: "/v", readOnly: false },
    { volume: "b", path: "/v/in", readOnly: true },
    { volume: "c", path: "/w", readOnly: false },
  ]);
  for (const path of ["", "v", "/v:rx", "/v:ro:rw", ":ro"])
    assert.throws(() => wishesOf({ "shiplog.volume/a": path }), { class: "InvalidArgument" });
});
