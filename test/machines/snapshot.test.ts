import assert from "node:assert/strict";
import test from "node:test";
import { kindOf, type SnapshotCommand, snapshotDecider, type SnapshotFact } from "../../src/machines/snapshot.ts";
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
  const row = { ...made, size: 0, inodes: 0, createdAt: 1n, updatedAt: 1n, taking: null, picture: null };
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

const picture = { name: "n", id: "9", containers: ["c"] };
const take = { type: "TakeSnapshot", key: "k", ...picture, nameTaken: false } as const;
const taking: SnapshotFact = { type: "SnapshotTaking", data: picture };
const costs = { paused: ["c"], pausedNs: 1_000, sharedBytes: 0, copiedBytes: 10 };
const recordTaken = { type: "RecordTaken", key: "k", name: "n", ...costs } as const;
const taken: SnapshotFact = { type: "SnapshotTaken", data: { name: "n", ...costs } };
const of = { key: "k", container: "c", at: 5n };
const keep = { type: "KeepPicture", name: "n", of, ...made, size: 10, inodes: 2 } as const;

test("an active snapshot goes on while a picture is taken of it, and after", () => {
  const state = given(prepared).when(take).decides(taking);
  assert.deepEqual([state.status, kindOf(state), state.taking], ["taking", "active", picture]);
  const after = given(prepared, taking).when(recordTaken).decides(taken);
  assert.deepEqual([after.status, after.id, after.taking], ["active", "7", null]);
  const failed: SnapshotFact = { type: "SnapshotTakeFailed", data: { name: "n", message: "m" } };
  const given2 = given(prepared, taking).when({ type: "RecordTakeFailed", key: "k", name: "n", message: "m" });
  assert.equal(given2.decides(failed).status, "active");
});

test("a picture is a committed snapshot that knows of what it is one", () => {
  const state = given()
    .when(keep)
    .decides({ type: "SnapshotPictured", data: { of, ...made, size: 10, inodes: 2 } });
  assert.deepEqual([state.status, state.parent, state.picture], ["committed", "p", of]);
  given(sealed).when(keep).rejects("AlreadyExists", "SnapshotExists", 'snapshot "n": already exists');
});

test("only an active snapshot can have its picture taken, one at a time, under a name that is free", () => {
  for (const other of [viewed, sealed]) {
    const said = 'failed to take snapshot: snapshot "k" is not active: failed precondition';
    given(other).when(take).rejects("FailedPrecondition", "SnapshotNotActive", said);
  }
  given().when(take).rejects("NotFound", "SnapshotAbsent", "snapshot k does not exist: not found");
  given(prepared)
    .when({ ...take, nameTaken: true })
    .rejects("AlreadyExists", "SnapshotExists", 'snapshot "n": already exists');
  const busy = 'a picture is being taken of snapshot "k": failed precondition';
  for (const command of [take, commit, remove])
    given(prepared, taking).when(command).rejects("FailedPrecondition", "SnapshotBeingTaken", busy);
  const said = 'snapshot "k" has no picture "n" in the making: failed precondition';
  given(prepared).when(recordTaken).rejects("FailedPrecondition", "PictureNotOpen", said);
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
