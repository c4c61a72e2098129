import assert from "node:assert/strict";
import test from "node:test";
import { ingestDecider, type IngestFact } from "../../src/machines/ingest.ts";
import { specify } from "./specification.ts";

const { given } = specify(ingestDecider);
const started = (total: number): IngestFact => ({ type: "IngestStarted", data: { total, expected: "sha256:a" } });
const start = (total: number) => ({ type: "StartIngest", ref: "r", total, expected: "sha256:a" }) as const;

test("an ingest starts when it is absent", () => {
  const state = given().when(start(5)).decides(started(5));
  assert.deepEqual(state, { status: "receiving", total: 5, expected: "sha256:a", leased: false, startedAt: 1n });
});

test("an ingest that was begun under a lease says so", () => {
  const leased: IngestFact = { type: "IngestStarted", data: { total: 5, expected: "sha256:a", leased: true } };
  const state = given()
    .when({ ...start(5), leased: true })
    .decides(leased);
  assert.equal(state.leased, true);
});

test("resuming an open ingest is no fact unless another total is announced", () => {
  given(started(5)).when(start(5)).decides();
  given(started(5)).when(start(0)).decides();
  given(started(0)).when(start(5)).decides();
  const state = given(started(5))
    .when(start(6))
    .decides({ type: "IngestAborted", data: { reason: "total changed from 5 to 6" } }, started(6));
  assert.deepEqual([state.total, state.startedAt], [6, 3n]);
});

test("an ingest ends by its commit or its abort", () => {
  const commit = { type: "CommitIngest", ref: "r", digest: "sha256:a", size: 5 } as const;
  const abort = { type: "AbortIngest", ref: "r", reason: "asked" } as const;
  const committed: IngestFact = { type: "IngestCommitted", data: { digest: "sha256:a", size: 5 } };
  assert.deepEqual(given(started(5)).when(commit).decides(committed), ingestDecider.initialState);
  given(started(5))
    .when(abort)
    .decides({ type: "IngestAborted", data: { reason: "asked" } });
  given(started(5), committed).when(commit).rejects("NotFound", "IngestAbsent", "reference r: not found");
  given().when(abort).rejects("NotFound", "IngestAbsent", "reference r: not found");
});
