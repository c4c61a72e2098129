import assert from "node:assert/strict";
import test from "node:test";
import { type ContainerCommand, containerDecider, type ContainerFact } from "../../src/machines/container.ts";
import { fold, specify } from "./specification.ts";

const { given } = specify(containerDecider);
const any = (...bytes: number[]) => ({ typeUrl: "t", value: Uint8Array.from(bytes) });
const fields = {
  labels: { b: "2", a: "1" },
  image: "img",
  runtime: { name: "io.containerd.runc.v2", options: null },
  spec: any(1, 2),
  snapshotter: "overlayfs",
  snapshotKey: "key",
  extensions: { x: any(3) },
  sandbox: "",
};
const created: ContainerFact = { type: "ContainerCreated", data: fields };
const deleted: ContainerFact = { type: "ContainerDeleted", data: {} };
const create: ContainerCommand = { type: "CreateContainer", id: "c", ...fields };
const update = (changes: object): ContainerCommand => ({ type: "UpdateContainer", id: "c", ...changes });

test("a container is created once", () => {
  const state = given().when(create).decides(created);
  assert.deepEqual(state, { status: "present", ...fields, createdAt: 1n, updatedAt: 1n });
  given(created).when(create).rejects("AlreadyExists", "ContainerExists", 'container "c": already exists');
});

test("an update records only the fields that differ", () => {
  const state = given(created)
    .when(
      update({
        labels: { a: "1", b: "2" },
        image: "other",
        spec: any(1, 2),
        snapshotKey: "key",
        extensions: { x: any(3) },
      }),
    )
    .decides({ type: "ContainerUpdated", data: { image: "other" } });
  assert.deepEqual([state.image, state.spec, state.createdAt, state.updatedAt], ["other", any(1, 2), 1n, 2n]);
});

test("every field of an update can differ by value alone", () => {
  const changes = { labels: { a: "1" }, image: "", spec: any(1, 3), snapshotKey: "", extensions: { x: any(4) } };
  const state = given(created).when(update(changes)).decides({ type: "ContainerUpdated", data: changes });
  assert.deepEqual(state, { ...fold(containerDecider, [created]), ...changes, updatedAt: 2n });
});

test("an update that writes what is there is a fact without changes, as containerd tells subscribers of it", () => {
  const nothing = { type: "ContainerUpdated", data: {} } as const;
  const state = given(created)
    .when(update({ labels: { a: "1", b: "2" }, spec: any(1, 2) }))
    .decides(nothing);
  assert.equal(state.updatedAt, 2n);
  given(created).when(update({})).decides(nothing);
});

test("a label called __proto__ is a label like any other", () => {
  const labels = JSON.parse('{"__proto__": "x"}') as Record<string, string>;
  const state = given(created).when(update({ labels })).decides({ type: "ContainerUpdated", data: { labels } });
  assert.deepEqual(Object.entries(state.labels), [["__proto__", "x"]]);
  given(created, { type: "ContainerUpdated", data: { labels } })
    .when(update({ labels: {} }))
    .decides({ type: "ContainerUpdated", data: { labels: {} } });
});

test("an absent container can be neither updated nor deleted", () => {
  given()
    .when(update({ image: "x" }))
    .rejects("NotFound", "ContainerAbsent", 'container "c": not found');
  given(created, deleted)
    .when({ type: "DeleteContainer", id: "c" })
    .rejects("NotFound", "ContainerAbsent", "container c: not found");
});

test("a container that is made again has nothing of the one before", () => {
  const state = given(created).when({ type: "DeleteContainer", id: "c" }).decides(deleted);
  assert.deepEqual(state, containerDecider.initialState);
  const bare = { ...fields, labels: {}, image: "", snapshotter: "", snapshotKey: "", extensions: {} };
  assert.deepEqual(
    given(created, deleted)
      .when({ ...create, ...bare })
      .decides({ type: "ContainerCreated", data: bare }),
    {
      status: "present",
      ...bare,
      createdAt: 3n,
      updatedAt: 3n,
    },
  );
});
