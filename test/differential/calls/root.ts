/** A root file system for the containers of a scenario: busybox alone, in a snapshot that is not collected, whenever that happens. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { content, diff, type Mount, snapshots } from "../../../src/wire/mod.ts";
import { archive } from "../../snapshots/tar-builder.ts";
import type { Reply } from "../invoke.ts";
import { callsOf, type ComparedCall, type Memory } from "../scenario.ts";

const kept = { "containerd.io/gc.root": "yes" };
const applets = ["sh", "sleep", "true", "false", "cat", "echo"];
const busybox = await readFile("/bin/busybox");
const layer = gzipSync(
  archive(
    ...["bin/", "proc/", "dev/"].map((name) => ({ name, flag: "5", mode: 0o755 })),
    { name: "bin/busybox", content: busybox, mode: 0o755 },
    ...applets.map((name) => ({ name: `bin/${name}`, flag: "2", linkName: "busybox" })),
  ),
);
const digest = `sha256:${createHash("sha256").update(layer).digest("hex")}`;
const mediaType = "application/vnd.oci.image.layer.v1.tar+gzip";

/** The mounts of the snapshot prepared last. */
export const mountsOf = ({ kept }: Memory) => kept.get("mounts") as Mount[];

/** Puts the layer in and applies it to a snapshot of this key. */
export function preparingRoot(namespace: string, key: string): readonly ComparedCall[] {
  const blob = callsOf(content.ContentDefinition, { namespace });
  const snapshot = callsOf(snapshots.SnapshotsDefinition, { namespace });
  const differ = callsOf(diff.DiffDefinition, { namespace });
  return [
    blob("a layer", "write", [{ action: content.WriteAction.COMMIT, ref: "layer", data: layer, labels: kept }]),
    snapshot("prepare", "prepare", { snapshotter: "overlayfs", key, labels: kept }, { keep: keepMounts }),
    differ("apply", "apply", (memory) => ({
      diff: { mediaType, digest, size: BigInt(layer.length) },
      mounts: mountsOf(memory),
    })),
  ];
}

function keepMounts({ messages }: Reply, kept: Map<string, unknown>): void {
  kept.set("mounts", (messages[0] as { mounts: Mount[] } | undefined)?.mounts ?? []);
}
