import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  mount,
  mountAll,
  parseMountOptions,
  readMountinfo,
  unmount,
  unmountAll,
  withTemporaryMount,
} from "../../src/platform/mod.ts";

describe("mounts", () => {
  let work: string;
  const at = (...names: string[]) => join(work, ...names);
  const mounted = (path: string) => readMountinfo().filter((info) => info.mountpoint === path);
  before(() => {
    work = mkdtempSync(join(tmpdir(), "shiplog-mount-"));
    for (const name of ["source/inner", "upper", "work", "target with space"]) mkdirSync(at(name), { recursive: true });
    writeFileSync(at("source", "file"), "content");
  });
  after(async () => {
    await unmountAll(at("target with space"));
    rmSync(work, { recursive: true });
  });

  test("parseMountOptions tells flags from data, the last word winning", () => {
    assert.deepEqual(parseMountOptions(["ro", "nosuid", "index=off", "rw", "rbind", "upperdir=/x", "defaults"]), {
      flags: 0x2 | 0x1000 | 0x4000,
      data: ["index=off", "upperdir=/x"],
      loop: false,
    });
    assert.deepEqual(parseMountOptions(["loop", "ro"]), { flags: 1, data: [], loop: true });
    assert.deepEqual(parseMountOptions(["constructor"]), { flags: 0, data: ["constructor"], loop: false });
  });

  test("a read-only bind cannot be written, and is gone after unmount", async () => {
    const target = at("target with space");
    mount({ type: "bind", source: at("source"), options: ["ro", "rbind"] }, target);
    assert.equal(readFileSync(join(target, "file"), "utf8"), "content");
    assert.throws(() => writeFileSync(join(target, "new"), ""), { code: "EROFS" });
    assert.ok(mounted(target)[0]?.options.includes("ro"));
    await unmount(target);
    assert.deepEqual(mounted(target), []);
    await assert.rejects(unmount(target), { code: "EINVAL", syscall: "umount2", path: target });
  });

  test("unmountAll undoes a stack of mounts and finds nothing wrong with none", async () => {
    const target = at("target with space");
    for (const size of ["64k", "128k"]) mount({ type: "tmpfs", source: "tmpfs", options: [`size=${size}`] }, target);
    assert.equal(mounted(target).length, 2);
    await unmountAll(target);
    assert.deepEqual(mounted(target), []);
    await unmountAll(at("absent"));
  });

  test("a mount with a target lands inside, never outside", async () => {
    const target = at("target with space");
    const inner = { type: "tmpfs", source: "tmpfs", target: "../../inner", options: [] };
    await mountAll([{ type: "bind", source: at("source"), options: ["rbind", "rw"] }, inner], target);
    assert.equal(mounted(join(target, "inner")).length, 1);
    await unmount(join(target, "inner"));
    await unmount(target);
  });

  test("mountAll undoes the mounts before the one that failed", async () => {
    const target = at("target with space");
    const bad = {
      type: "overlay",
      source: "overlay",
      options: [`lowerdir=${at("absent")}`, `upperdir=${at("upper")}`, `workdir=${at("work")}`],
    };
    await assert.rejects(mountAll([{ type: "tmpfs", source: "tmpfs", options: [] }, bad], target), {
      code: "ENOENT",
      syscall: "mount",
    });
    assert.deepEqual(mounted(target), []);
  });

  test("an overlay of more layers than a page of options holds is mounted", async () => {
    const target = at("target with space");
    const layers = Array.from({ length: 100 }, (_, index) =>
      at("layers", `a-rather-long-name-for-a-directory-of-a-layer-${index}`),
    );
    for (const [index, layer] of layers.entries()) {
      mkdirSync(layer, { recursive: true });
      writeFileSync(join(layer, `file${index}`), "");
    }
    mount(
      {
        type: "overlay",
        source: "overlay",
        options: [`workdir=${at("work")}`, `upperdir=${at("upper")}`, `lowerdir=${layers.join(":")}`],
      },
      target,
    );
    assert.equal(readdirSync(target).length, 100);
    await unmount(target);
  });

  test("withTemporaryMount leaves nothing behind, whether its work succeeds or fails", async () => {
    mkdirSync(at("temporary"));
    const description = { type: "bind", source: at("source"), options: ["rw", "rbind"] };
    assert.equal(
      await withTemporaryMount([description], at("temporary"), async (root) =>
        readFileSync(join(root, "file"), "utf8"),
      ),
      "content",
    );
    const failing = withTemporaryMount([description], at("temporary"), async () => {
      throw new Error("work failed");
    });
    await assert.rejects(failing, /work failed/);
    assert.deepEqual(readdirSync(at("temporary")), []);
    assert.ok(existsSync(at("source", "file")));
  });
});
