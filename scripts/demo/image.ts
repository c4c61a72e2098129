/** A small OCI image made in memory from the machine's busybox: one layer, a config and a manifest. Needs no registry. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { tar } from "./tar.ts";

export interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly content: Buffer;
  /** References as labels: what containerd's collector follows. */
  readonly labels: Readonly<Record<string, string>>;
}

export interface Image {
  readonly name: string;
  readonly layer: Blob;
  readonly config: Blob;
  readonly manifest: Blob;
  /** Digest of the uncompressed layer; for a single layer also the name of its committed snapshot. */
  readonly diffId: string;
}

const applets = ["sh", "echo", "uname", "hostname", "date", "id", "sleep"];
const architectures: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/** @param busybox path of a statically linked busybox. */
export function busyboxImage(busybox: string, snapshotter: string): Image {
  const uncompressed = tar([
    { kind: "directory", path: "bin/" },
    { kind: "file", path: "bin/busybox", content: readFileSync(busybox), mode: 0o755 },
    ...applets.map((applet) => ({ kind: "link", path: `bin/${applet}`, target: "busybox" }) as const),
    ...["dev/", "proc/", "sys/", "tmp/"].map((path) => ({ kind: "directory", path }) as const),
  ]);
  const diffId = digestOf(uncompressed);
  const layer = blob("application/vnd.oci.image.layer.v1.tar+gzip", gzipSync(uncompressed, { level: 1 }), {
    "containerd.io/uncompressed": diffId,
  });
  const config = blob(
    "application/vnd.oci.image.config.v1+json",
    json({
      architecture: architectures[process.arch] ?? process.arch,
      os: "linux",
      config: { Env: ["PATH=/bin"], Cmd: ["sh"] },
      rootfs: { type: "layers", diff_ids: [diffId] },
    }),
    { [`containerd.io/gc.ref.snapshot.${snapshotter}`]: diffId },
  );
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = blob(
    mediaType,
    json({ schemaVersion: 2, mediaType, config: descriptor(config), layers: [descriptor(layer)] }),
    {
      "containerd.io/gc.ref.content.config": config.digest,
      "containerd.io/gc.ref.content.l.0": layer.digest,
    },
  );
  return { name: "shiplog.demo/busybox:latest", layer, config, manifest, diffId };
}

export const descriptor = ({ mediaType, digest, content }: Blob) => ({ mediaType, digest, size: content.length });

const digestOf = (content: Buffer) => `sha256:${createHash("sha256").update(content).digest("hex")}`;
const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const blob = (mediaType: string, content: Buffer, labels: Record<string, string>): Blob => ({
  mediaType,
  digest: digestOf(content),
  content,
  labels,
});
