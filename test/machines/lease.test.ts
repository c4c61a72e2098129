import assert from "node:assert/strict";
import test from "node:test";
import { type LeaseCommand, leaseDecider, type LeaseFact } from "../../src/machines/lease.ts";
import { specify } from "./specification.ts";

const { given } = specify(leaseDecider);
const created: LeaseFact = { type: "LeaseCreated", data: { labels: { l: "1" } } };
const blob = { type: "content", id: "sha256:a" };
const ingest = { type: "ingests", id: "sha256:a" };
const added = (resource: { type: string; id: string }): LeaseFact => ({ type: "LeaseResourceAdded", data: resource });

test("a lease is created once", () => {
  const state = given()
    .when({ type: "CreateLease", id: "l", labels: { l: "1" } })
    .decides(created);
  assert.deepEqual(state, { status: "present", labels: { l: "1" }, resources: [], createdAt: 1n });
  given(created)
    .when({ type: "CreateLease", id: "l", labels: {} })
    .rejects("AlreadyExists", "LeaseExists", 'lease "l": already exists');
});

test("a resource is added once, and told apart by its type", () => {
  const state = given(created, added(blob))
    .when({ type: "AddLeaseResource", id: "l", resource: ingest })
    .decides(added(ingest));
  assert.deepEqual(state.resources, [blob, ingest]);
  given(created, added(blob)).when({ type: "AddLeaseResource", id: "l", resource: blob }).decides();
});

test("a resource is removed once", () => {
  const state = given(created, added(blob), added(ingest))
    .when({ type: "RemoveLeaseResource", id: "l", resource: blob })
    .decides({ type: "LeaseResourceRemoved", data: blob });
  assert.deepEqual(state.resources, [ingest]);
  given(created).when({ type: "RemoveLeaseResource", id: "l", resource: blob }).decides();
});

test("an absent lease takes no command but its creation", () => {
  const commands: LeaseCommand[] = [
    { type: "DeleteLease", id: "l" },
    { type: "AddLeaseResource", id: "l", resource: blob },
    { type: "RemoveLeaseResource", id: "l", resource: blob },
  ];
  for (const command of commands) {
    given(created, { type: "LeaseDeleted", data: {} })
      .when(command)
      .rejects("NotFound", "LeaseAbsent", 'lease "l": not found');
  }
});

test("a deleted lease holds nothing when it is made again", () => {
  const state = given(created, added(blob))
    .when({ type: "DeleteLease", id: "l" })
    .decides({ type: "LeaseDeleted", data: {} });
  assert.deepEqual(state, leaseDecider.initialState);
});
