import assert from "node:assert/strict";
import test from "node:test";
import { volumeDecider, type VolumeFact } from "../../src/machines/volume.ts";
import { specify } from "./specification.ts";

const { given } = specify(volumeDecider);
const made = { snapshotter: "o", snapshotKey: "k1", sharing: "shared", labels: { l: "1" } } as const;
const create = { type: "CreateVolume", name: "v", ...made } as const;
const created: VolumeFact = { type: "VolumeCreated", data: made };
const exclusive: VolumeFact = { type: "VolumeCreated", data: { ...made, sharing: "exclusive" } };
const mount = { type: "MountVolume", name: "v", container: "c", path: "/data", readOnly: false } as const;
const mounted: VolumeFact = { type: "VolumeMounted", data: { container: "c", path: "/data", readOnly: false } };
const unmount = { type: "RecordVolumeUnmounted", container: "c" } as const;
const unmounted: VolumeFact = { type: "VolumeUnmounted", data: { container: "c" } };
const rollBack = { type: "RollBackVolume", name: "v", picture: "p", snapshotKey: "k2" } as const;
const remove = { type: "RemoveVolume", name: "v" } as const;

test("a volume is created once under a name", () => {
  const state = given().when(create).decides(created);
  assert.deepEqual(state, { status: "present", ...made, mounts: {}, createdAt: 1n, updatedAt: 1n });
  given(created).when(create).rejects("AlreadyExists", "VolumeExists", 'volume "v": already exists');
});

test("a shared volume is mounted in several containers, each once", () => {
  const state = given(created).when(mount).decides(mounted);
  assert.deepEqual(state.mounts, { c: { path: "/data", readOnly: false, since: 2n } });
  given(created, mounted).when(mount).decides();
  const other: VolumeFact = { type: "VolumeMounted", data: { container: "d", path: "/x", readOnly: true } };
  const both = given(created, mounted)
    .when({ ...mount, container: "d", path: "/x", readOnly: true })
    .decides(other);
  assert.deepEqual(Object.keys(both.mounts), ["c", "d"]);
});

test("an exclusive volume is mounted in one container at a time", () => {
  given(exclusive, mounted)
    .when({ ...mount, container: "d" })
    .rejects(
      "FailedPrecondition",
      "VolumeExclusive",
      'volume "v" is exclusive, and container "c" has it: failed precondition',
    );
  given(exclusive, mounted, unmounted)
    .when({ ...mount, container: "d" })
    .decides({ type: "VolumeMounted", data: { container: "d", path: "/data", readOnly: false } });
});

test("an unmount that is told twice, or of a volume that has gone, is no fact", () => {
  assert.deepEqual(given(created, mounted).when(unmount).decides(unmounted).mounts, {});
  given(created).when(unmount).decides();
  given().when(unmount).decides();
});

test("a volume goes back to a picture, and goes, only while nobody has it", () => {
  const rolledBack: VolumeFact = { type: "VolumeRolledBack", data: { picture: "p", snapshotKey: "k2" } };
  assert.equal(given(created).when(rollBack).decides(rolledBack).snapshotKey, "k2");
  const state = given(created).when(remove).decides({ type: "VolumeRemoved", data: {} });
  assert.deepEqual(state, volumeDecider.initialState);
  for (const command of [rollBack, remove])
    given(created, mounted)
      .when(command)
      .rejects("FailedPrecondition", "VolumeMounted", 'volume "v" is mounted in container "c": failed precondition');
});

test("a picture of it is told in its history", () => {
  given(created, mounted)
    .when({ type: "RecordVolumePictured", name: "v", picture: "p" })
    .decides({ type: "VolumePictured", data: { picture: "p" } });
});

test("an absent volume can be neither mounted, rolled back nor removed", () => {
  for (const command of [mount, rollBack, remove])
    given().when(command).rejects("NotFound", "VolumeAbsent", 'volume "v": not found');
});
