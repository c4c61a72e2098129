/** containerd.services.diff.v1.Diff: layers applied, and made from snapshots. */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { content, diff, type Mount, snapshots } from "../../../src/wire/mod.ts";
import { archive } from "../../snapshots/tar-builder.ts";
import type { Reply } from "../invoke.ts";
import { callsOf, type Scenario } from "../scenario.ts";

const namespace = "diff";
const call = callsOf(diff.DiffDefinition, { namespace });
const blob = callsOf(content.ContentDefinition, { namespace });
const snapshot = callsOf(snapshots.SnapshotsDefinition, { namespace });
const kept = { "containerd.io/gc.root": "yes" };
const media = "application/vnd.oci.image.layer.v1.tar";
const unknown = `sha256:${"1".repeat(64)}`;
const digestOf = (data: Buffer) => `sha256:${createHash("sha256").update(data).digest("hex")}`;
const tar = archive({ name: "file", content: "one" }, { name: "folder/", flag: "5", mode: 0o755 });
const gzip = gzipSync(tar);

const put = (name: string, data: Buffer) =>
  blob(name, "write", [{ action: content.WriteAction.COMMIT, ref: name, data, labels: kept }]);
const keepMounts = (name: string) => ({
  keep: ({ messages }: Reply, kept: Map<string, unknown>) =>
    void kept.set(name, (messages[0] as { mounts: Mount[] } | undefined)?.mounts ?? []),
});
const mountsOf = (name: string, kept: Map<string, unknown>) => kept.get(name) as Mount[];
const apply = (name: string, descriptor: object, key = "layer") =>
  call(name, "apply", ({ kept }) => ({
    diff: { mediaType: media, digest: digestOf(tar), size: BigInt(tar.length), ...descriptor },
    mounts: mountsOf(key, kept),
  }));
const make = (name: string, request: object, left = "left", right = "layer") =>
  call(name, "diff", ({ kept }) => ({
    left: mountsOf(left, kept),
    right: mountsOf(right, kept),
    labels: { "containerd.io/gc.root": "yes" },
    ...request,
  }));

export const scenarios: readonly Scenario[] = [
  {
    name: "diff",
    calls: [
      put("a layer", tar),
      put("a gzip layer", gzip),
      put("no layer", Buffer.from("this is no archive at all")),
      snapshot("prepare", "prepare", { snapshotter: "overlayfs", key: "layer", labels: kept }, keepMounts("layer")),
      snapshot(
        "prepare another",
        "prepare",
        { snapshotter: "overlayfs", key: "left", labels: kept },
        keepMounts("left"),
      ),
      snapshot(
        "prepare a third",
        "prepare",
        { snapshotter: "overlayfs", key: "garbage", labels: kept },
        keepMounts("garbage"),
      ),
      apply("apply", {}),
      apply("apply a gzip layer", { mediaType: `${media}+gzip`, digest: digestOf(gzip), size: BigInt(gzip.length) }),
      apply("apply a docker layer", {
        mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip",
        digest: digestOf(gzip),
        size: BigInt(gzip.length),
      }),
      apply("apply gzip as tar", { digest: digestOf(gzip), size: BigInt(gzip.length) }),
      apply("apply of an unknown media type", { mediaType: "application/unknown" }),
      apply("apply of no media type", { mediaType: "" }),
      apply(
        "apply what is no archive",
        { digest: digestOf(Buffer.from("this is no archive at all")), size: 25n },
        "garbage",
      ),
      apply("apply an unknown digest", { digest: unknown }),
      apply("apply no digest", { digest: "" }),
      call("apply without a namespace", "apply", { diff: { mediaType: media, digest: unknown } }, { namespace: [] }),
      make("diff as tar", { mediaType: media, ref: "diff-tar" }),
      make("diff as gzip", { mediaType: `${media}+gzip`, ref: "diff-gzip" }),
      make("diff of an unknown media type", { mediaType: "application/unknown" }),
      make("diff again", { mediaType: media, ref: "diff-tar" }),
      call("diff without a namespace", "diff", {}, { namespace: [] }),
    ],
  },
];
