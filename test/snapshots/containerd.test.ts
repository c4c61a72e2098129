/**
 * The same image unpacked by the real containerd and by us must be the same directories, whiteout devices and attributes included.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import {
  applyLayer,
  openNative,
  openOverlayfs,
  type LocalSnapshotter,
  SnapshotWorkers,
} from "../../src/snapshots/mod.ts";
import { archive, type Member } from "./tar-builder.ts";
import { listTree } from "./tree-listing.ts";

const layerType = "application/vnd.oci.image.layer.v1.tar+gzip";
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

const layers: Member[][] = [
  [
    { name: "bin/", flag: "5", mode: 0o755 },
    {
      name: "bin/su",
      mode: 0o4755,
      content: "su",
      uid: 0,
      gid: 42,
      pax: [["SCHILY.xattr.security.capability", Buffer.from("0100000200200000000000000000000000000000", "hex")]],
    },
    { name: "bin/sh", flag: "1", linkName: "bin/su", mode: 0o4755, gid: 42 },
    { name: "lib", flag: "2", linkName: "usr/lib", mode: 0o777 },
    { name: "usr/lib/", flag: "5", mode: 0o751, uid: 7, gid: 8 },
    { name: "lib/through-link", content: "x", mtime: 1_500_000_000 },
    { name: "etc/", flag: "5", mode: 0o2750, uid: 3, gid: 4, pax: [["SCHILY.xattr.user.of-etc", "1"]] },
    {
      name: "etc/passwd",
      content: "p",
      pax: [
        ["mtime", "1600000000.987654321"],
        ["atime", "1700000000.5"],
      ],
    },
    { name: "etc/opaque/", flag: "5" },
    { name: "etc/opaque/old", content: "o" },
    { name: "caf\xe9-\xff", content: "latin1" },
    { name: "dev/null", flag: "3", device: [1, 3], mode: 0o666 },
    { name: "dev/sda", flag: "4", device: [8, 0], mode: 0o660, gid: 6 },
    { name: "run/fifo", flag: "6", mode: 0o600 },
    { name: "tmp/", flag: "5", mode: 0o1777 },
    { name: "before", mtime: 0 },
    { name: "replaced/", flag: "5" },
    { name: "replaced/inner", content: "i" },
  ],
  [
    { name: "bin/", flag: "5", mode: 0o555 },
    { name: "bin/.wh.sh", uid: 5, gid: 6 },
    { name: ".wh.before" },
    { name: "etc/", flag: "5", mode: 0o2750, uid: 3, gid: 4 },
    { name: "etc/opaque/", flag: "5", mode: 0o700 },
    { name: "etc/opaque/.wh..wh..opq" },
    { name: "etc/opaque/new", content: "n" },
    { name: "usr/lib/implied-parent", content: "x" },
    { name: "replaced", content: "now a file" },
    {
      name: "linked",
      content: "l",
      pax: [
        ["SCHILY.xattr.trusted.never", "1"],
        ["SCHILY.xattr.user.kept", Buffer.from([0, 1])],
      ],
    },
    { name: "linked-again", flag: "1", linkName: "/linked", mode: 0o600, mtime: 1_400_000_000 },
    { name: "../climbing/../landed", content: "c" },
    { name: "/absolute", flag: "2", linkName: "/etc/passwd" },
  ],
];
const blobs = layers.map((members) => ({ tar: archive(...members), blob: gzipSync(archive(...members)) }));

/** Directories that are made or changed as a side effect: their times are those of the run. */
const timeless = [".", "./usr", "./dev", "./run", "./usr/lib"];

describe("an image unpacked as containerd does", () => {
  const workers = new SnapshotWorkers(2);
  let work: string;
  let daemon: ChildProcess;
  const ctr = (...args: string[]) =>
    execFileSync("ctr", ["--address", join(work, "containerd.sock"), ...args], { encoding: "utf8" });

  before(async () => {
    work = mkdtempSync(join(tmpdir(), "shiplog-containerd-"));
    const config = `version = 2
root = "${work}/root"
state = "${work}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "${work}/containerd.sock"
`;
    writeFileSync(join(work, "config.toml"), config);
    daemon = spawn("containerd", ["--config", join(work, "config.toml")], { stdio: ["ignore", "ignore", "pipe"] });
    for await (const line of createInterface({ input: daemon.stderr! }))
      if (line.includes("containerd successfully booted")) break;
    daemon.stderr!.resume();
    writeFileSync(join(work, "image.tar"), imageArchive());
  });
  after(async () => {
    if (daemon.exitCode === null) {
      daemon.kill();
      await once(daemon, "exit");
    }
    await workers.close();
    rmSync(work, { recursive: true });
  });

  async function unpack(snapshotter: LocalSnapshotter): Promise<void> {
    const parents: string[] = [];
    for (const [index, { blob, tar }] of blobs.entries()) {
      const id = `layer${index + 1}`;
      await snapshotter.create(id, "active", parents);
      const source = (async function* () {
        yield blob;
      })();
      const applied = await applyLayer(
        { source, mediaType: layerType, mounts: snapshotter.mounts(id, "active", parents) },
        { workers, temporary: work },
      );
      assert.equal(applied.digest, `sha256:${sha256(tar)}`);
      parents.unshift(id);
    }
  }

  const cases = [
    { name: "overlayfs", open: openOverlayfs, content: "fs" },
    { name: "native", open: openNative, content: "" },
  ];
  for (const { name, open, content } of cases) {
    test(`is the same directories under ${name}, and the same usage`, async () => {
      ctr("--namespace", name, "images", "import", "--snapshotter", name, join(work, "image.tar"));
      const snapshotter = await open({ root: join(work, `ours-${name}`), workers });
      await unpack(snapshotter);
      const theirs = join(work, "root", `io.containerd.snapshotter.v1.${name}`, "snapshots");
      const directories = readdirSync(theirs).sort((a, b) => Number(a) - Number(b));
      assert.equal(directories.length, blobs.length);
      const used = ctr("--namespace", name, "snapshots", "--snapshotter", name, "usage", "-b")
        .trim()
        .split("\n")
        .slice(1)
        .map((line) => line.trim().split(/\s+/).slice(1).map(Number));
      const ours: number[][] = [];
      for (const [index, directory] of directories.entries()) {
        const id = `layer${index + 1}`;
        const listed = (root: string) => listTree(root, { withoutTimes: timeless });
        assert.deepEqual(
          listed(join(snapshotter.root, "snapshots", id, content)),
          listed(join(theirs, directory, content)),
        );
        const { size, inodes } = await snapshotter.usage(id, "active", []);
        ours.push([size, inodes]);
      }
      assert.deepEqual(ours.map(String).sort(), used.map(String).sort());
    });
  }
});

/** An OCI image layout in a tar, as `ctr images import` takes it. */
function imageArchive(): Buffer {
  const members: Member[] = [{ name: "oci-layout", content: JSON.stringify({ imageLayoutVersion: "1.0.0" }) }];
  const add = (bytes: Buffer, mediaType: string) => {
    members.push({ name: `blobs/sha256/${sha256(bytes)}`, content: bytes });
    return { mediaType, digest: `sha256:${sha256(bytes)}`, size: bytes.length };
  };
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));
  const platform = { architecture: process.arch === "x64" ? "amd64" : process.arch, os: "linux" };
  const rootfs = { type: "layers", diff_ids: blobs.map(({ tar }) => `sha256:${sha256(tar)}`) };
  const config = add(json({ ...platform, config: {}, rootfs }), "application/vnd.oci.image.config.v1+json");
  const manifest = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config,
    layers: blobs.map(({ blob }) => add(blob, layerType)),
  };
  const described = {
    ...add(json(manifest), manifest.mediaType),
    annotations: { "io.containerd.image.name": "example.test/image:1" },
  };
  members.push({ name: "index.json", content: json({ schemaVersion: 2, manifests: [described] }) });
  return archive(...members);
}
