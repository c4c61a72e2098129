/** What a namespace has before another one is used: something of every kind, and all of it reachable. */
import { content } from "../../src/wire/mod.ts";
import { runtimeSpec } from "../harness/spec.ts";
import type { Command } from "./command.ts";

const snapshotters = ["native", "overlayfs"];
const lease = "l0";
const put = (name: string, labels: object): Command => ({
  call: "content.write",
  request: [{ action: content.WriteAction.COMMIT, ref: name, data: name, expected: `digest of ${name}`, labels }],
  lease,
});
const prepare = (snapshotter: string, key: string, parent: string): Command => ({
  call: "snapshots.prepare",
  request: { snapshotter, key, parent, labels: { of: key } },
  lease,
});

/** In order; none is refused. */
export const population: readonly Command[] = [
  { call: "namespaces.create", request: { namespace: { name: "THIS NAMESPACE", labels: { colour: "blue" } } } },
  { call: "leases.create", request: { id: lease, labels: { note: "holds what nothing else does" } } },
  { call: "leases.create", request: { id: "l1", labels: { "containerd.io/gc.expire": "2120-01-01T00:00:00Z" } } },
  put("layer", { kind: "layer" }),
  put("config", { "containerd.io/gc.ref.snapshot.native": "k1" }),
  put("manifest", {
    "containerd.io/gc.ref.content.0": "digest of config",
    "containerd.io/gc.ref.content.1": "digest of layer",
  }),
  put("root", { "containerd.io/gc.root": "yes" }),
  {
    call: "content.write",
    request: [{ action: content.WriteAction.WRITE, ref: "up0", data: "unfinished", offset: 0n, total: 1000n }],
    lease,
  },
  ...snapshotters.flatMap((snapshotter): readonly Command[] => [
    prepare(snapshotter, "k0", ""),
    { call: "write into a snapshot", request: { snapshotter, key: "k0" } },
    { call: "snapshots.commit", request: { snapshotter, key: "k0", name: "k1", labels: { of: "k1" } }, lease },
    prepare(snapshotter, "k0", ""),
    { call: "write into a snapshot", request: { snapshotter, key: "k0" } },
    prepare(snapshotter, "k2", "k1"),
    { call: "snapshots.view", request: { snapshotter, key: "k3", parent: "k1" }, lease },
  ]),
  {
    call: "images.create",
    request: {
      image: { name: "x", labels: { p: "1" }, target: { mediaType: "m", digest: "digest of manifest", size: 1n } },
    },
  },
  ...["x", "y"].map(
    (id): Command => ({
      call: "containers.create",
      request: {
        container: {
          id,
          labels: { p: "1" },
          image: "x",
          snapshotter: "native",
          snapshotKey: "k2",
          runtime: { name: "io.containerd.runc.v2" },
          spec: runtimeSpec(["sleep", "1000"], { cgroup: `/THIS NAMESPACE/${id}` }),
        },
      },
    }),
  ),
  { call: "leases.delete", request: { id: "l1", sync: true } },
  { call: "leases.create", request: { id: "l1", labels: { "containerd.io/gc.expire": "2120-01-01T00:00:00Z" } } },
];

/** A container of the namespace that runs. */
export const running: readonly Command[] = [
  {
    call: "tasks.create",
    request: { containerId: "x", rootfs: [{ type: "bind", source: "ROOTFS", options: ["rbind", "ro"] }] },
  },
  { call: "tasks.start", request: { containerId: "x" } },
];
