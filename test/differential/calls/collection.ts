/** What is collected, and what is not: seen after deletions that wait for it, as their `sync` asks. */
import { createHash } from "node:crypto";
import { containers, content, images, leases, snapshots } from "../../../src/wire/mod.ts";
import { runtimeSpec } from "../../harness/spec.ts";
import { callsOf, type Scenario } from "../scenario.ts";

const inNamespace = { namespace: "collection" };
const held = { ...inNamespace, lease: "lease" };
const image = callsOf(images.ImagesDefinition, inNamespace);
const lease = callsOf(leases.LeasesDefinition, inNamespace);
const blob = callsOf(content.ContentDefinition, inNamespace);
const container = callsOf(containers.ContainersDefinition, inNamespace);
const snapshot = callsOf(snapshots.SnapshotsDefinition, inNamespace);

const digestOf = (name: string) => `sha256:${createHash("sha256").update(name).digest("hex")}`;
const put = (name: string, labels: Readonly<Record<string, string>> = {}, headers: object = held) =>
  blob(
    `content ${name}`,
    "write",
    [{ action: content.WriteAction.COMMIT, ref: name, data: Buffer.from(name), labels }],
    headers,
  );
const ref = (name: string) => ({ "containerd.io/gc.ref.content.0": digestOf(name) });
const prepare = (key: string, labels: Readonly<Record<string, string>> = {}, parent = "", headers: object = held) =>
  snapshot(`snapshot ${key}`, "prepare", { snapshotter: "native", key, parent, labels }, headers);
const look = (when: string) => [
  blob(`content ${when}`, "list", {}),
  blob(`ingests ${when}`, "listStatuses", {}),
  snapshot(`snapshots ${when}`, "list", { snapshotter: "native" }),
  lease(`leases ${when}`, "list", {}),
  image(`images ${when}`, "list", {}),
  container(`containers ${when}`, "list", {}),
];

export const scenarios: readonly Scenario[] = [
  {
    name: "collection",
    calls: [
      lease("a lease", "create", { id: "lease" }),
      put("layer"),
      put("config", { "containerd.io/gc.ref.snapshot.native": "base" }),
      put("manifest", {
        "containerd.io/gc.ref.content.config": digestOf("config"),
        "containerd.io/gc.ref.content.l.0": digestOf("layer"),
      }),
      image("image", "create", {
        image: { name: "image", target: { mediaType: "m", digest: digestOf("manifest"), size: 8n } },
      }),
      put("garbage", ref("more garbage")),
      put("more garbage"),
      put("root", { ...ref("kept by the root"), "containerd.io/gc.root": "yes" }),
      put("kept by the root"),
      put("flat", ref("not kept by the flat lease")),
      put("not kept by the flat lease"),
      put("whole", ref("kept by the other lease")),
      put("kept by the other lease"),
      prepare("extract"),
      snapshot("commit base", "commit", { snapshotter: "native", key: "extract", name: "base" }, held),
      prepare("of the container", {}, "base"),
      prepare("garbage"),
      prepare("garbage too", {}, "base"),
      container("container", "create", {
        container: {
          id: "c",
          runtime: { name: "r" },
          spec: runtimeSpec(["true"]),
          snapshotter: "native",
          snapshotKey: "of the container",
        },
      }),
      blob(
        "an ingest",
        "write",
        [{ action: content.WriteAction.WRITE, ref: "ingest", data: Buffer.from("part") }],
        held,
      ),
      lease("a flat lease", "create", { id: "flat", labels: { "containerd.io/gc.flat": "yes" } }),
      lease("held by it", "addResource", { id: "flat", resource: { type: "content", id: digestOf("flat") } }),
      lease("another lease", "create", { id: "other" }),
      lease("held by the other", "addResource", { id: "other", resource: { type: "content", id: digestOf("whole") } }),
      lease("a lease that has expired", "create", {
        id: "expired",
        labels: { "containerd.io/gc.expire": "2001-01-01T00:00:00Z" },
      }),
      lease("delete the lease", "delete", { id: "lease", sync: true }),
      ...look("without the lease"),
      lease("the expired lease", "listResources", { id: "expired" }),
      image("delete the image", "delete", { name: "image", sync: true }),
      ...look("without the image"),
      container("delete the container", "delete", { id: "c" }),
      lease("delete the flat lease", "delete", { id: "flat", sync: true }),
      ...look("without the container and the flat lease"),
      lease("delete the other lease", "delete", { id: "other", sync: true }),
      ...look("at the end"),
    ],
  },
];
