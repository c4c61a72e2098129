/** A small OCI image for tests: busybox, statically linked, as an archive that `ctr images import` takes. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, copyFile, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { readFile } from "node:fs/promises";

const run = promisify(execFile);

/** The name that the archive gives the image. */
export const imageName = "example.test/busybox:1";

const applets = [
  "sh",
  "echo",
  "sleep",
  "cat",
  "true",
  "false",
  "ls",
  "stty",
  "kill",
  "seq",
  "dd",
  "head",
  "wc",
  "env",
  "id",
  "touch",
  "rm",
  "mkdir",
];

interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** Writes the image as an OCI layout in a tar at `directory/busybox.tar`; the same bytes each time. */
export async function buildImage(
  directory: string,
): Promise<{ readonly archive: string; readonly manifest: string; readonly layers: readonly string[] }> {
  const layout = join(directory, "layout");
  await mkdir(join(layout, "blobs", "sha256"), { recursive: true });
  const base = await tarOf(join(directory, "base"), async (root) => {
    await mkdir(join(root, "bin"), { recursive: true });
    await mkdir(join(root, "etc"));
    await mkdir(join(root, "tmp"));
    await copyFile("/bin/busybox", join(root, "bin", "busybox"));
    await chmod(join(root, "bin", "busybox"), 0o755);
    for (const applet of applets) await symlink("busybox", join(root, "bin", applet));
    await writeFile(join(root, "etc", "passwd"), "root:x:0:0:root:/:/bin/sh\n");
    await writeFile(join(root, "etc", "removed"), "the second layer removes this\n");
  });
  const second = await tarOf(join(directory, "second"), async (root) => {
    await mkdir(join(root, "etc"), { recursive: true });
    await writeFile(join(root, "etc", ".wh.removed"), "");
    await writeFile(join(root, "etc", "motd"), "a second layer\n");
  });
  const put = async (mediaType: string, bytes: Buffer): Promise<Blob> => {
    const hex = createHash("sha256").update(bytes).digest("hex");
    await writeFile(join(layout, "blobs", "sha256", hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));
  const layers: Blob[] = [];
  for (const tar of [base, second])
    layers.push(await put("application/vnd.oci.image.layer.v1.tar+gzip", gzipSync(tar, { level: 1 })));
  const config = await put(
    "application/vnd.oci.image.config.v1+json",
    json({
      architecture: "amd64",
      os: "linux",
      config: { Env: ["PATH=/bin"], Cmd: ["sh"] },
      rootfs: {
        type: "layers",
        diff_ids: [base, second].map((tar) => `sha256:${createHash("sha256").update(tar).digest("hex")}`),
      },
    }),
  );
  const manifestType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = await put(manifestType, json({ schemaVersion: 2, mediaType: manifestType, config, layers }));
  const named = {
    ...manifest,
    annotations: { "io.containerd.image.name": imageName, "org.opencontainers.image.ref.name": "1" },
  };
  await writeFile(join(layout, "index.json"), json({ schemaVersion: 2, manifests: [named] }));
  await writeFile(join(layout, "oci-layout"), json({ imageLayoutVersion: "1.0.0" }));
  const archive = join(directory, "busybox.tar");
  await run("tar", ["-C", layout, "-cf", archive, "oci-layout", "index.json", "blobs"]);
  return { archive, manifest: manifest.digest, layers: layers.map(({ digest }) => digest) };
}

/** A tar of a tree, reproducible: sorted, owned by root, at a fixed time. */
async function tarOf(root: string, fill: (root: string) => Promise<void>): Promise<Buffer> {
  await mkdir(root, { recursive: true });
  await fill(root);
  const tar = `${root}.tar`;
  const reproducible = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@1700000000"];
  await run("tar", [...reproducible, "-C", root, "-cf", tar, "."]);
  return readFile(tar);
}
