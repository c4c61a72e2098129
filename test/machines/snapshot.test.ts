import assert from "node:assert/strict";
import test from "node:test";
import { type SnapshotCommand, snapshotDecider, type SnapshotFact } from "../../src/machines/snapshot.ts";
import { specify } from "./specification.ts";

const { given } = specify(snapshotDecider);
const made = { id: "7", parent: "p", labels: { l: "1" } };
const prepared: SnapshotFact = { type: "SnapshotPrepared", data: made };
const viewed: SnapshotFact = { type: "SnapshotViewed", data: made };
const layer = { key: "k", ...made, size: 10, inodes: 2 };
const sealed: SnapshotFact = { type: "SnapshotSealed", data: layer };
const prepare = { type: "PrepareSnapshot", key: "k", ...made, observedParent: "committed" } as const;
const view = { ...prepare, type: "ViewSnapshot" } as const;
const commit = { type: "CommitSnapshot", key: "k", name: "n", nameTaken: false } as const;
const seal = { type: "SealSnapshot", name: "n", ...layer } as const;
const remove = { type: "RemoveSnapshot", key: "k", children: 0 } as const;
const update = { type: "UpdateSnapshot", key: "k", labels: { l: "2" } } as const;

test("a snapshot is prepared, viewed or sealed where there is none", () => {
  const row = { ...made, size: 0, inodes: 0, createdAt: 1n, updatedAt: 1n };
  assert.deepEqual(given().when(prepare).decides(prepared), { ...row, status: "active" });
  assert.deepEqual(given().when(view).decides(viewed), { ...row, status: "view" });
  assert.deepEqual(given().when(seal).decides(sealed), { ...row, status: "committed", size: 10, inodes: 2 });
});

test("a key or name is taken once", () => {
  for (const taken of [prepared, viewed, sealed]) {
    for (const command of [prepare, view]) {
      given(taken).when(command).rejects("AlreadyExists", "SnapshotExists", 'snapshot "k": already exists');
    }
    given(taken).when(seal).rejects("AlreadyExists", "SnapshotExists", 'snapshot "n": already exists');
  }
});

test("a snapshot without a parent needs none", () => {
  given()
    .when({ ...prepare, parent: "", observedParent: "none" })
    .decides({ type: "SnapshotPrepared", data: { ...made, parent: "" } });
});

test("a parent must exist and be committed", () => {
  given()
    .when({ ...prepare, observedParent: "absent" })
    .rejects("NotFound", "ParentAbsent", "parent snapshot p does not exist: not found");
  for (const observedParent of ["active", "view"] as const) {
    given()
      .when({ ...view, observedParent })
      .rejects(
        "InvalidArgument",
        "ParentNotCommitted",
        'failed to create snapshot: parent "p" is not committed snapshot: invalid argument',
      );
  }
});

test("an active snapshot ends by its commit", () => {
  const committed: SnapshotFact = { type: "SnapshotCommitted", data: { name: "n" } };
  assert.deepEqual(given(prepared).when(commit).decides(committed), snapshotDecider.initialState);
});

test("a commit is refused when the name is taken, first of all", () => {
  for (const facts of [[prepared], []]) {
    given(...facts)
      .when({ ...commit, nameTaken: true })
      .rejects("AlreadyExists", "SnapshotExists", 'snapshot "n": already exists');
  }
});

test("only an active snapshot can be committed", () => {
  for (const other of [viewed, sealed]) {
    given(other)
      .when(commit)
      .rejects(
        "FailedPrecondition",
        "SnapshotNotActive",
        'failed to commit snapshot: snapshot "k" is not active: failed precondition',
      );
  }
});

test("labels change", () => {
  for (const other of [prepared, viewed, sealed]) {
    const state = given(other)
      .when(update)
      .decides({ type: "SnapshotUpdated", data: { labels: { l: "2" } } });
    assert.deepEqual([state.labels, state.createdAt, state.updatedAt], [{ l: "2" }, 1n, 2n]);
  }
});

test("a snapshot with children cannot be removed", () => {
  given(sealed)
    .when({ ...remove, children: 1 })
    .rejects("FailedPrecondition", "SnapshotHasChildren", "cannot remove snapshot with child: failed precondition");
});

test("a snapshot is removed in every kind and leaves nothing", () => {
  for (const other of [prepared, viewed, sealed]) {
    const state = given(other).when(remove).decides({ type: "SnapshotRemoved", data: {} });
    assert.deepEqual(state, snapshotDecider.initialState);
  }
});

test("an absent snapshot can be neither committed, updated nor removed", () => {
  const commands: SnapshotCommand[] = [commit, update, remove];
  for (const command of commands) {
    given().when(command).rejects("NotFound", "SnapshotAbsent", "snapshot k does not exist: not found");
  }
});
