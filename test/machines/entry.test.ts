import assert from "node:assert/strict";
import test from "node:test";
import { entryDecider, type EntryFact } from "../../src/machines/entry.ts";
import { specify } from "./specification.ts";

const { given } = specify(entryDecider);
const value = (byte: number) => ({ typeUrl: "t", value: Uint8Array.of(byte) });
const put = (byte: number): EntryFact => ({ type: "EntryPut", data: { value: value(byte) } });
const deleted: EntryFact = { type: "EntryDeleted", data: {} };

test("an entry is made by the first put, and keeps when that was", () => {
  given()
    .when({ type: "PutEntry", name: "pods/redis", value: value(1) })
    .decides(put(1));
  const state = given(put(1))
    .when({ type: "PutEntry", name: "pods/redis", value: value(2) })
    .decides(put(2));
  assert.deepEqual(state, { status: "present", value: value(2), createdAt: 1n, updatedAt: 2n });
});

test("an entry put with the value that it has says nothing", () => {
  given(put(1))
    .when({ type: "PutEntry", name: "pods/redis", value: value(1) })
    .decides();
});

test("an entry that is not there cannot be deleted", () => {
  given(put(1), deleted)
    .when({ type: "DeleteEntry", name: "pods/redis" })
    .rejects("NotFound", "EntryAbsent", 'entry "pods/redis": not found');
  given(put(1)).when({ type: "DeleteEntry", name: "pods/redis" }).decides(deleted);
});

test("an entry made again begins anew", () => {
  const state = given(put(1), deleted)
    .when({ type: "PutEntry", name: "pods/redis", value: value(1) })
    .decides(put(1));
  assert.equal(state.createdAt, 3n);
});
