import assert from "node:assert/strict";
import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  changeModeAt,
  changeOwnerAt,
  changeTimesAt,
  closeDescriptor,
  linkAt,
  makeDirectoryAt,
  makeNodeAt,
  openAt,
  openIn,
  readLinkAt,
  removeDirectoryAt,
  standIn,
  statusAt,
  statusIfAny,
  symlinkAt,
  unlinkAt,
} from "../../src/platform/mod.ts";

describe("calls relative to a directory", () => {
  let outside: string;
  let root: string;
  let fd: number;
  before(() => {
    outside = mkdtempSync(join(tmpdir(), "shiplog-at-"));
    root = join(outside, "root");
    mkdirSync(root);
    writeFileSync(join(outside, "secret"), "outside");
    mkdirSync(join(root, "d"));
    writeFileSync(join(root, "secret"), "inside");
    symlinkSync("/secret", join(root, "absolute"));
    symlinkSync("../../../secret", join(root, "d", "dotdot"));
    fd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  });
  after(() => {
    closeSync(fd);
    rmSync(outside, { recursive: true });
  });

  for (const path of ["absolute", "d/dotdot", "../secret", "/secret", "d/../../secret"]) {
    test(`openIn stays inside the root when the path is ${path}`, () => {
      const opened = openIn(fd, path, constants.O_RDONLY);
      assert.equal(readFileSync(opened, "utf8"), "inside");
      closeDescriptor(opened);
    });
  }

  test("openIn refuses a symbolic link when links are not wanted", () => {
    assert.throws(() => openIn(fd, "absolute", constants.O_RDONLY, { noLinks: true }), {
      code: "ELOOP",
      syscall: "openat2",
      path: "absolute",
    });
  });

  test("openIn refuses a way out through a magic link", () => {
    symlinkSync("/proc/self/root", join(root, "magic"));
    assert.throws(() => standIn(fd, "magic/etc"), { code: "ENOENT" });
  });

  test("openAt refuses a symbolic link in the name", () => {
    assert.throws(() => openAt(fd, "absolute", constants.O_RDONLY), {
      code: "ELOOP",
      message: /^ELOOP: .*, openat 'absolute'$/,
    });
  });

  test("a name with a NUL is refused and not cut short", () => {
    assert.throws(() => makeDirectoryAt(fd, "a\0b", 0o755), { code: "EINVAL" });
    assert.equal(statusIfAny(fd, "a"), undefined);
  });

  test("names that are not UTF-8 are kept byte for byte", () => {
    const name = Buffer.from([0xff, 0xfe, 0x41]);
    makeDirectoryAt(fd, name, 0o755);
    assert.equal(lstatSync(Buffer.concat([Buffer.from(`${root}/`), name])).isDirectory(), true);
    removeDirectoryAt(fd, name);
    assert.equal(statusIfAny(fd, name), undefined);
  });

  test("a symbolic link's own owner and times change, to the nanosecond and before 1970", () => {
    symlinkAt("nowhere", fd, "link");
    changeOwnerAt(fd, "link", 1234, 70000);
    changeTimesAt(fd, "link", 1_600_000_000_123_456_789n, -1_500_000_001n);
    const status = statusAt(fd, "link");
    assert.deepEqual(
      [status.uid, status.gid, status.atime, status.mtime],
      [1234, 70000, 1_600_000_000_123_456_789n, -1_500_000_001n],
    );
    assert.equal(readLinkAt(fd, "link").toString(), "nowhere");
    linkAt(fd, "link", fd, "second");
    assert.equal(readlinkSync(join(root, "second")), "nowhere");
    unlinkAt(fd, "second");
  });

  test("device numbers go through the kernel unchanged", () => {
    for (const [index, device] of (
      [
        [0, 0],
        [1, 3],
        [253, 65538],
        [4095, 1048575],
      ] as const
    ).entries()) {
      makeNodeAt(fd, `node${index}`, 0o060600, device);
      changeModeAt(fd, `node${index}`, 0o640);
      const status = statusAt(fd, `node${index}`);
      assert.deepEqual([status.rdev, status.mode], [[...device], 0o060640]);
    }
  });

  test("the hook hears the operation's name and can make it fail", () => {
    const heard: string[] = [];
    const hook = (operation: string) => {
      heard.push(operation);
      throw new Error("disk on fire");
    };
    assert.throws(() => makeDirectoryAt(fd, "never", 0o755, hook), /disk on fire/);
    assert.deepEqual(heard, ["kernel.mkdirat"]);
    assert.equal(statusIfAny(fd, "never"), undefined);
  });
});
