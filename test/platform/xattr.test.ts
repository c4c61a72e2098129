import assert from "node:assert/strict";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { getXattr, listXattrs, setXattr } from "../../src/platform/mod.ts";

describe("extended attributes", () => {
  let work: string;
  before(() => {
    work = mkdtempSync(join(tmpdir(), "shiplog-xattr-"));
    writeFileSync(join(work, "file"), "");
    symlinkSync("file", join(work, "link"));
  });
  after(() => rmSync(work, { recursive: true }));

  test("a value keeps its NULs and can be empty", () => {
    const file = join(work, "file");
    setXattr(file, "user.binary", Buffer.from([0, 1, 0, 255]));
    setXattr(file, "user.empty", Buffer.alloc(0));
    assert.deepEqual(getXattr(file, "user.binary"), Buffer.from([0, 1, 0, 255]));
    assert.deepEqual(getXattr(file, "user.empty"), Buffer.alloc(0));
    assert.deepEqual(listXattrs(file).sort(), ["user.binary", "user.empty"]);
  });

  test("an absent attribute is undefined, an absent file an error", () => {
    assert.equal(getXattr(join(work, "file"), "user.absent"), undefined);
    assert.throws(() => getXattr(join(work, "absent"), "user.absent"), { code: "ENOENT", syscall: "lgetxattr" });
  });

  test("a symbolic link has attributes of its own, of the trusted class only", () => {
    const link = join(work, "link");
    setXattr(link, "trusted.own", Buffer.from("y"));
    assert.deepEqual(listXattrs(link), ["trusted.own"]);
    assert.equal(getXattr(join(work, "file"), "trusted.own"), undefined);
    assert.throws(() => setXattr(link, "user.own", Buffer.from("y")), { code: "EPERM" });
  });
});
