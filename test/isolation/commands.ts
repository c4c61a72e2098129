/** What clients ask for in a namespace, as arbitrary calls of every service over the names that the other namespace has too. */
import fc from "fast-check";
import { content } from "../../src/wire/mod.ts";
import { execSpec, runtimeSpec } from "../harness/spec.ts";
import type { Command } from "./command.ts";

const { COMMIT, STAT, WRITE } = content.WriteAction;

/** The other namespace has content of the first four. */
const text = fc.constantFrom("layer", "config", "manifest", "root", "own");
const digest = text.map((name) => `digest of ${name}`);
const id = fc.constantFrom("x", "y");
const leaseId = fc.constantFrom("l0", "l1");
const ref = fc.constantFrom("up0", "up1", "layer");
const key = fc.constantFrom("k0", "k1", "k2", "k3");
const snapshotter = fc.constantFrom("native", "native", "overlayfs");
const lease = fc.option(leaseId, { nil: undefined });
const anySync = fc.boolean();

const label = fc.oneof(
  fc.constantFrom(["p", "1"], ["p", "2"], ["containerd.io/gc.root", "now"], ["containerd.io/gc.flat", "yes"]),
  fc.constantFrom("2020-01-01T00:00:00Z", "2120-01-01T00:00:00Z").map((time) => ["containerd.io/gc.expire", time]),
  digest.map((to) => ["containerd.io/gc.ref.content.0", to]),
  digest.map((to) => ["containerd.io/gc.bref.content", to]),
  key.map((to) => ["containerd.io/gc.ref.snapshot.native", to]),
  key.map((to) => ["containerd.io/snapshot.ref", to]),
  id.map((to) => ["containerd.io/gc.bref.image", to]),
  digest.map((to) => ["containerd.io/uncompressed", to]),
);
const labels = fc.array(label, { maxLength: 2 }).map((entries) => Object.fromEntries(entries) as object);
const paths = fc.constantFrom<readonly string[]>([], ["labels"], ["labels.p"], ["target"], ["extensions"]);

/** A call of one method with each part of its request arbitrary. */
const call = (call: Command["call"], request: Readonly<Record<string, fc.Arbitrary<unknown>>>): fc.Arbitrary<Command> =>
  fc.record(request).map((request) => ({ call, request }));
const leased = (command: fc.Arbitrary<Command>): fc.Arbitrary<Command> =>
  fc.tuple(command, lease).map(([command, lease]) => (lease === undefined ? command : { ...command, lease }));
const each = fc.constantFrom;
const only = fc.constant;

const container = call("containers.create", {
  container: fc.record({
    id,
    labels,
    image: id,
    snapshotter,
    snapshotKey: key,
    runtime: only({ name: "io.containerd.runc.v2" }),
    spec: id.map((id) => runtimeSpec(["sleep", "1000"], { cgroup: `/THIS NAMESPACE/${id}` })),
  }),
});
const target = digest.map((digest) => ({ mediaType: "m", digest, size: 1n }));
const resource = fc.oneof(
  digest.map((id) => ({ type: "content", id })),
  ref.map((id) => ({ type: "ingests", id })),
  id.map((id) => ({ type: "images", id })),
  fc.tuple(snapshotter, key).map(([name, id]) => ({ type: `snapshots/${name}`, id })),
);
const write = fc
  .record({
    action: each(WRITE, COMMIT, COMMIT, STAT),
    ref,
    data: text,
    expected: fc.oneof(digest, only("")),
    labels,
    offset: only(0n),
    total: only(0n),
  })
  .map((message): Command => ({ call: "content.write", request: [message] }));
const filters = each<readonly string[]>([], ["labels.p==1"], ["id==x", "name==k0"]);

/** Of containers that mostly do not run: the other namespace has one called x that does. */
const task = fc.oneof(
  call("tasks.get", { containerId: id }),
  call("tasks.list", {}),
  call("tasks.listPids", { containerId: id }),
  call("tasks.kill", { containerId: id, signal: only(9), all: fc.boolean() }),
  call("tasks.pause", { containerId: id }),
  call("tasks.resume", { containerId: id }),
  call("tasks.delete", { containerId: id }),
  call("tasks.exec", { containerId: id, execId: id, spec: only(execSpec(["sleep", "1"])) }),
  call("tasks.metrics", { filters }),
);
const start = fc.oneof(
  call("tasks.create", {
    containerId: only("x"),
    rootfs: only([{ type: "bind", source: "ROOTFS", options: ["rbind", "ro"] }]),
  }),
  call("tasks.start", { containerId: only("x") }),
);

const event = fc.record({
  topic: each("/images/create", "/tasks/exit", "/anything"),
  event: only({ typeUrl: "some.Type", value: Buffer.from("some value") }),
});

export const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 2, arbitrary: container },
  {
    weight: 1,
    arbitrary: call("containers.update", {
      container: fc.record({ id, labels, image: id }),
      updateMask: paths.map((paths) => ({ paths })),
    }),
  },
  { weight: 1, arbitrary: call("containers.delete", { id }) },
  { weight: 1, arbitrary: call("containers.list", { filters }) },
  { weight: 2, arbitrary: leased(call("images.create", { image: fc.record({ name: id, labels, target }) })) },
  {
    weight: 1,
    arbitrary: call("images.update", {
      image: fc.record({ name: id, labels, target }),
      updateMask: paths.map((paths) => ({ paths })),
    }),
  },
  { weight: 2, arbitrary: call("images.delete", { name: id, sync: anySync }) },
  { weight: 2, arbitrary: call("leases.create", { id: leaseId, labels }) },
  { weight: 2, arbitrary: call("leases.delete", { id: leaseId, sync: anySync }) },
  { weight: 1, arbitrary: call("leases.addResource", { id: leaseId, resource }) },
  { weight: 1, arbitrary: call("leases.deleteResource", { id: leaseId, resource }) },
  { weight: 5, arbitrary: leased(write) },
  { weight: 1, arbitrary: call("content.abort", { ref }) },
  { weight: 3, arbitrary: call("content.delete", { digest }) },
  {
    weight: 2,
    arbitrary: call("content.update", {
      info: fc.record({ digest, labels }),
      updateMask: paths.map((paths) => ({ paths })),
    }),
  },
  { weight: 1, arbitrary: call("content.read", { digest }) },
  {
    weight: 3,
    arbitrary: leased(call("snapshots.prepare", { snapshotter, key, parent: fc.oneof(key, only("")), labels })),
  },
  {
    weight: 1,
    arbitrary: leased(call("snapshots.view", { snapshotter, key, parent: fc.oneof(key, only("")), labels })),
  },
  { weight: 2, arbitrary: leased(call("snapshots.commit", { snapshotter, key, name: key, labels })) },
  { weight: 3, arbitrary: call("snapshots.remove", { snapshotter, key }) },
  {
    weight: 1,
    arbitrary: call("snapshots.update", {
      snapshotter,
      info: fc.record({ name: key, labels }),
      updateMask: paths.map((paths) => ({ paths })),
    }),
  },
  { weight: 1, arbitrary: call("snapshots.usage", { snapshotter, key }) },
  { weight: 1, arbitrary: call("snapshots.cleanup", { snapshotter }) },
  { weight: 2, arbitrary: call("write into a snapshot", { snapshotter, key }) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.record({ snapshotter, key }), fc.record({ snapshotter, key }))
      .map((request): Command => ({ call: "diff snapshots", request })),
  },
  {
    weight: 1,
    arbitrary: call("namespaces.update", { namespace: fc.record({ name: only("THIS NAMESPACE"), labels }) }),
  },
  {
    weight: 1,
    arbitrary: call("namespaces.create", { namespace: fc.record({ name: only("THIS NAMESPACE"), labels }) }),
  },
  { weight: 1, arbitrary: call("namespaces.delete", { name: each("THIS NAMESPACE", "THE OTHER NAMESPACE") }) },
  { weight: 1, arbitrary: event.map((request): Command => ({ call: "events.publish", request })) },
  {
    weight: 1,
    arbitrary: event.map(
      (request): Command => ({
        call: "events.forward",
        request: { envelope: { ...request, namespace: "THIS NAMESPACE", timestamp: { seconds: 1n, nanos: 0 } } },
      }),
    ),
  },
  { weight: 2, arbitrary: call("collection.collect", {}) },
  { weight: 3, arbitrary: task },
  { weight: 1, arbitrary: start },
);
