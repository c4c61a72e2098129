import assert from "node:assert/strict";
import test from "node:test";
import { publicationDecider, type PublicationFact } from "../../src/machines/publication.ts";
import { specify } from "./specification.ts";

test("every published envelope is a fact, and counted", () => {
  const envelope = { topic: "/a/b", event: { typeUrl: "t", value: Uint8Array.of(1) }, timestamp: 9n };
  const published: PublicationFact = { type: "EventPublished", data: envelope };
  const { given } = specify(publicationDecider);
  given()
    .when({ type: "PublishEvent", ...envelope })
    .decides(published);
  const state = given(published)
    .when({ type: "PublishEvent", ...envelope })
    .decides(published);
  assert.deepEqual(state, { status: "published", count: 2 });
});
