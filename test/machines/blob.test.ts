import assert from "node:assert/strict";
import test from "node:test";
import { blobDecider, type BlobFact } from "../../src/machines/blob.ts";
import { specify } from "./specification.ts";

const { given } = specify(blobDecider);
const digest = "sha256:a";
const committed: BlobFact = { type: "BlobCommitted", data: { size: 5, labels: { b: "2", a: "1" } } };

test("a blob is linked once", () => {
  const state = given()
    .when({ type: "CommitBlob", digest, size: 5, labels: { b: "2", a: "1" } })
    .decides(committed);
  assert.deepEqual(state, { status: "present", size: 5, labels: { a: "1", b: "2" }, createdAt: 1n, updatedAt: 1n });
  given(committed)
    .when({ type: "CommitBlob", digest, size: 5, labels: {} })
    .rejects("AlreadyExists", "BlobExists", "content sha256:a: already exists");
});

test("an update replaces the labels", () => {
  const state = given(committed)
    .when({ type: "UpdateBlob", digest, labels: { a: "1" } })
    .decides({ type: "BlobUpdated", data: { labels: { a: "1" } } });
  assert.deepEqual([state.labels, state.createdAt, state.updatedAt], [{ a: "1" }, 1n, 2n]);
});

test("an absent blob can be neither updated nor deleted", () => {
  const said = ["NotFound", "BlobAbsent", "content digest sha256:a: not found"] as const;
  given()
    .when({ type: "UpdateBlob", digest, labels: {} })
    .rejects(...said);
  given(committed, { type: "BlobDeleted", data: {} })
    .when({ type: "DeleteBlob", digest })
    .rejects(...said);
});

test("a deleted blob leaves nothing", () => {
  const state = given(committed).when({ type: "DeleteBlob", digest }).decides({ type: "BlobDeleted", data: {} });
  assert.deepEqual(state, blobDecider.initialState);
});
