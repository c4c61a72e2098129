import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { lstat, mkdir, readdir, readFile, readlink, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { mount, readMountinfo } from "../../src/platform/mod.ts";
import { Bundles } from "../../src/tasks/bundle.ts";
import { temporaryDirectory } from "../harness/temporary.ts";

const key = { namespace: "ns", id: "one" };
const spec = Buffer.from('{ "ociVersion":"1.0.2" }\n');

async function bundlesIn(t: Parameters<typeof temporaryDirectory>[0]) {
  const base = await temporaryDirectory(t);
  return { base, bundles: new Bundles({ stateDir: join(base, "state"), rootDir: join(base, "root") }) };
}

test("a bundle is where containerd keeps it, with the spec byte for byte", async (t) => {
  const { base, bundles } = await bundlesIn(t);
  const path = await bundles.create(key, spec);
  assert.equal(path, join(base, "state/io.containerd.runtime.v2.task/ns/one"));
  assert.deepEqual(await readFile(join(path, "config.json")), spec);
  assert.equal((await stat(path)).mode & 0o777, 0o700);
  assert.equal(await readlink(join(path, "work")), join(base, "root/io.containerd.runtime.v2.task/ns/one"));
  assert.deepEqual(await readdir(join(path, "rootfs")), []);
  assert.deepEqual(await bundles.list(), [key]);
});

test("a bundle can be entered by the group that a user namespace maps to 0", async (t) => {
  const { bundles } = await bundlesIn(t);
  const mappings = [
    { containerID: 1, hostID: 7 },
    { containerID: 0, hostID: 123_456 },
  ];
  const path = await bundles.create(key, Buffer.from(JSON.stringify({ linux: { gidMappings: mappings } })));
  const { gid, mode } = await stat(path);
  assert.deepEqual([gid, mode & 0o777], [123_456, 0o710]);
});

test("a bundle that exists is refused and left alone", async (t) => {
  const { bundles } = await bundlesIn(t);
  const path = await bundles.create(key, spec);
  await writeFile(join(path, "mark"), "");
  await assert.rejects(bundles.create(key, spec), { code: "EEXIST" });
  await lstat(join(path, "mark"));
});

test("a bundle whose spec is no JSON is not made", async (t) => {
  const { bundles } = await bundlesIn(t);
  await assert.rejects(bundles.create(key, Buffer.from("{")), SyntaxError);
  assert.deepEqual(await bundles.list(), []);
});

test("removing a bundle unmounts every layer of its rootfs and leaves what was mounted", async (t) => {
  const { base, bundles } = await bundlesIn(t);
  const path = await bundles.create(key, spec);
  const image = join(base, "image");
  await mkdir(image);
  await writeFile(join(image, "precious"), "kept");
  for (let layer = 0; layer < 2; layer++)
    mount({ type: "bind", source: image, options: ["rbind"] }, join(path, "rootfs"));
  await bundles.remove(key);
  assert.equal(await readFile(join(image, "precious"), "utf8"), "kept");
  assert.deepEqual(await bundles.list(), []);
  assert.deepEqual(await readdir(join(base, "root/io.containerd.runtime.v2.task/ns")), []);
  assert.deepEqual(
    readMountinfo().filter(({ mountpoint }) => mountpoint.startsWith(base)),
    [],
  );
  await bundles.remove(key);
});

test("removing a bundle fails rather than delete through a mount elsewhere in it", async (t) => {
  const { base, bundles } = await bundlesIn(t);
  const path = await bundles.create(key, spec);
  const image = join(base, "image");
  await mkdir(image);
  await writeFile(join(image, "precious"), "kept");
  await mkdir(join(path, "rootfs/inner"));
  mount({ type: "bind", source: image, options: ["rbind"] }, join(path, "rootfs/inner"));
  try {
    await assert.rejects(bundles.remove(key), /is still mounted/);
    assert.equal(await readFile(join(image, "precious"), "utf8"), "kept");
  } finally {
    const left = readMountinfo().filter(({ mountpoint }) => mountpoint.startsWith(base));
    for (const { mountpoint } of left) execFileSync("umount", [mountpoint]);
  }
});

test("sweeping removes half-removed bundles and work directories without a bundle, and nothing else", async (t) => {
  const { base, bundles } = await bundlesIn(t);
  const path = await bundles.create(key, spec);
  const roots = { state: join(path, ".."), work: join(base, "root/io.containerd.runtime.v2.task/ns") };
  await mkdir(join(roots.state, ".gone/rootfs"), { recursive: true });
  await mkdir(join(roots.work, "rebooted"));
  await bundles.sweep();
  assert.deepEqual(await readdir(roots.state), ["one"]);
  assert.deepEqual(await readdir(roots.work), ["one"]);
});
