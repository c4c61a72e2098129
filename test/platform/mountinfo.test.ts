import assert from "node:assert/strict";
import { test } from "node:test";
import { parseMountinfo, readMountinfo } from "../../src/platform/mod.ts";

test("parseMountinfo reads escapes, tags and options of the example in proc(5)", () => {
  const text = "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:7 - ext3 /dev/ro\\134ot rw,errors=continue\n";
  assert.deepEqual(parseMountinfo(text), [
    {
      id: 36,
      parent: 35,
      major: 98,
      minor: 0,
      root: "/mnt1",
      mountpoint: "/mnt 2",
      options: ["rw", "noatime"],
      tags: ["master:1", "shared:7"],
      type: "ext3",
      source: "/dev/ro\\ot",
      superOptions: ["rw", "errors=continue"],
    },
  ]);
});

test("parseMountinfo refuses a line that is no mount", () => {
  assert.throws(() => parseMountinfo("36 35 98:0 /mnt1 /mnt2 rw\n"), /not a mount/);
});

test("readMountinfo finds proc where this process reads it", () => {
  assert.equal(readMountinfo(process.pid).find(({ mountpoint }) => mountpoint === "/proc")?.type, "proc");
});
