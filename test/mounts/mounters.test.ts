/** Mounters by type: the kernel's own, images through loop devices, and programs. Each is mounted for real. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Mounters, ProgramMounter } from "../../src/mounts/mod.ts";
import { readMountinfo, unmountAll } from "../../src/platform/mod.ts";
import { lackingFor } from "../harness/loop.ts";
import { temporaryDirectory } from "../harness/temporary.ts";

const mountsBelow = (directory: string) => readMountinfo().filter(({ mountpoint }) => mountpoint.startsWith(directory));

/** Loop devices that have this file behind them. */
const loopsOf = (file: string) => execFileSync("losetup", ["-j", file], { encoding: "utf8" }).trim();

test("binds, tmpfs and overlays are mounted by the kernel, one upon and within another", async (t) => {
  const work = await temporaryDirectory(t);
  for (const name of ["lower/in", "upper", "work", "target"]) mkdirSync(join(work, name), { recursive: true });
  writeFileSync(join(work, "lower", "file"), "content");
  const overlay = {
    type: "overlay",
    source: "overlay",
    options: [`lowerdir=${work}/lower`, `upperdir=${work}/upper`, `workdir=${work}/work`],
  };
  const tmpfs = { type: "tmpfs", source: "tmpfs", target: "in", options: ["size=1m"] };
  const seen = await new Mounters().during([overlay, tmpfs], work, async (root) => {
    writeFileSync(join(root, "in", "x"), "");
    return [readFileSync(join(root, "file"), "utf8"), readdirSync(join(root, "in"))];
  });
  assert.deepEqual(seen, ["content", ["x"]]);
  assert.deepEqual(mountsBelow(work), []);
  const bind = { type: "bind", source: join(work, "lower"), options: ["rbind", "ro"] };
  await new Mounters().during([bind], work, async (root) => {
    assert.throws(() => writeFileSync(join(root, "file"), ""), { code: "EROFS" });
  });
});

for (const [type, make] of Object.entries({
  squashfs: ["mksquashfs", (source: string, image: string) => [source, image, "-quiet", "-no-progress"]],
  erofs: ["mkfs.erofs", (source: string, image: string) => ["-x-1", image, source]],
} as const)) {
  test(`an image of type ${type} is mounted from its file, read-only, and its device goes with it`, async (t) => {
    const lacking = lackingFor(make[0]);
    if (lacking !== undefined) return t.skip(lacking);
    const work = await temporaryDirectory(t);
    mkdirSync(join(work, "source"));
    writeFileSync(join(work, "source", "file"), "in an image");
    const image = join(work, "image");
    execFileSync(make[0], make[1](join(work, "source"), image), { stdio: "ignore" });
    await new Mounters().during([{ type, source: image, options: ["ro"] }], work, async (root) => {
      assert.equal(readFileSync(join(root, "file"), "utf8"), "in an image");
      assert.throws(() => writeFileSync(join(root, "file"), ""), { code: "EROFS" });
      assert.match(loopsOf(image), /loop/);
    });
    assert.equal(loopsOf(image), "");
  });
}

test("any file system in a file is mounted with the option loop, and can be written", async (t) => {
  const lacking = lackingFor("mkfs.ext4");
  if (lacking !== undefined) return t.skip(lacking);
  const work = await temporaryDirectory(t);
  const image = join(work, "image");
  writeFileSync(image, "");
  truncateSync(image, 8 * 1024 * 1024);
  execFileSync("mkfs.ext4", ["-q", image]);
  const description = { type: "ext4", source: image, options: ["loop", "rw"] };
  const mounters = new Mounters();
  await mounters.during([description], work, async (root) => writeFileSync(join(root, "kept"), "by the image"));
  assert.equal(loopsOf(image), "");
  const kept = await mounters.during([{ ...description, options: ["loop", "ro"] }], work, async (root) =>
    readFileSync(join(root, "kept"), "utf8"),
  );
  assert.equal(kept, "by the image");
  const broken = { type: "ext4", source: join(work, "broken"), options: ["loop"] };
  writeFileSync(broken.source, Buffer.alloc(1024 * 1024));
  await assert.rejects(
    mounters.during([broken], work, async () => {}),
    { code: "EINVAL" },
  );
  assert.equal(loopsOf(broken.source), "", "a mount that fails leaves no device");
});

test("a type of its own is mounted by the program that is registered for it", async (t) => {
  const work = await temporaryDirectory(t);
  mkdirSync(join(work, "source"));
  writeFileSync(join(work, "source", "file"), "content");
  const program = join(work, "mount.mirror");
  writeFileSync(program, `#!/bin/sh\necho "$@" > ${work}/called\nmount --bind "$1" "$2"\n`);
  chmodSync(program, 0o755);
  const mounters = new Mounters().register("mirror", new ProgramMounter(program));
  assert.ok(mounters.isRegistered("mirror") && !mounters.isRegistered("bind"));
  const description = { type: "mirror", source: join(work, "source"), options: ["a=1", "b"] };
  const root = await mounters.during([description], work, async (place) => {
    assert.equal(readFileSync(join(place, "file"), "utf8"), "content");
    return place;
  });
  assert.equal(readFileSync(join(work, "called"), "utf8"), `${work}/source ${root} -o a=1,b\n`);
  assert.deepEqual(mountsBelow(work), []);
});

test("a program that fails, or mounts nothing, is an error with its words, and what was mounted before it is undone", async (t) => {
  const work = await temporaryDirectory(t);
  const program = (name: string, text: string) => {
    const path = join(work, name);
    writeFileSync(path, `#!/bin/sh\n${text}\n`);
    chmodSync(path, 0o755);
    return new ProgramMounter(path);
  };
  const mounters = new Mounters()
    .register("failing", program("failing", "echo no such source >&2; exit 3"))
    .register("idle", program("idle", "exit 0"));
  const tmpfs = { type: "tmpfs", source: "tmpfs", options: [] };
  const describe = (type: string) => [tmpfs, { type, source: "s", options: [] }];
  await assert.rejects(
    mounters.during(describe("failing"), work, async () => {}),
    /no such source/,
  );
  await assert.rejects(
    mounters.during(describe("idle"), work, async () => {}),
    /nothing is mounted/,
  );
  await assert.rejects(
    mounters.during(describe("unheard-of"), work, async () => {}),
    { name: "TypeUnknown", message: /no mounter for type 'unheard-of'; .*failing.*overlay/ },
  );
  assert.deepEqual(mountsBelow(work), []);
  assert.throws(() => mounters.register("idle", program("again", "")), /has one/);
});

test("a place within the mount cannot lead out of it", async (t) => {
  const work = await temporaryDirectory(t);
  for (const name of ["root", "outside", "root/in"]) mkdirSync(join(work, name));
  symlinkSync("../outside", join(work, "root", "link"));
  const mounters = new Mounters();
  const tmpfs = (target: string) => ({ type: "tmpfs", source: "tmpfs", target, options: [] });
  await assert.rejects(mounters.mount(tmpfs("link"), join(work, "root")), { code: "EXDEV" });
  await mounters.mount(tmpfs("../in"), join(work, "root"));
  assert.deepEqual(
    mountsBelow(work).map(({ mountpoint }) => mountpoint),
    [join(work, "root", "in")],
  );
  await unmountAll(join(work, "root", "in"));
});
