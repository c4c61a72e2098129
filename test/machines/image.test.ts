import assert from "node:assert/strict";
import test from "node:test";
import { imageDecider, type ImageFact } from "../../src/machines/image.ts";
import { specify } from "./specification.ts";

const { given } = specify(imageDecider);
const target = { mediaType: "m", digest: "sha256:a", size: 7, annotations: { k: "v" } };
const created: ImageFact = { type: "ImageCreated", data: { target, labels: { l: "1" } } };

test("an image is created once", () => {
  const state = given()
    .when({ type: "CreateImage", name: "i", target, labels: { l: "1" } })
    .decides(created);
  assert.deepEqual(state, { status: "present", target, labels: { l: "1" }, createdAt: 1n, updatedAt: 1n });
  given(created)
    .when({ type: "CreateImage", name: "i", target, labels: {} })
    .rejects("AlreadyExists", "ImageExists", 'image "i": already exists');
});

test("an update records only what differs", () => {
  for (const change of [{ mediaType: "n" }, { digest: "sha256:b" }, { size: 8 }, { annotations: {} }]) {
    const other = { ...target, ...change };
    const state = given(created)
      .when({ type: "UpdateImage", name: "i", target: other, labels: { l: "1" } })
      .decides({ type: "ImageUpdated", data: { target: other } });
    assert.deepEqual([state.target, state.labels, state.createdAt, state.updatedAt], [other, { l: "1" }, 1n, 2n]);
  }
  const state = given(created)
    .when({ type: "UpdateImage", name: "i", labels: { l: "2" } })
    .decides({ type: "ImageUpdated", data: { labels: { l: "2" } } });
  assert.deepEqual([state.target, state.labels], [target, { l: "2" }]);
});

test("pulling the same image again is a fact without changes, as containerd tells subscribers of it", () => {
  given(created)
    .when({ type: "UpdateImage", name: "i", target: { ...target }, labels: { l: "1" } })
    .decides({ type: "ImageUpdated", data: {} });
});

test("an absent image can be neither updated nor deleted", () => {
  given().when({ type: "UpdateImage", name: "i", target }).rejects("NotFound", "ImageAbsent", 'image "i": not found');
  given().when({ type: "DeleteImage", name: "i" }).rejects("NotFound", "ImageAbsent", 'image "i": not found');
});

test("a deleted image leaves nothing", () => {
  const state = given(created).when({ type: "DeleteImage", name: "i" }).decides({ type: "ImageDeleted", data: {} });
  assert.deepEqual(state, imageDecider.initialState);
});
