/** Pictures where the file system shares blocks: nothing is copied, so what stands still need not wait for data. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Harbour } from "../harness/harbour.ts";
import { lackingFor } from "../harness/loop.ts";

test("a picture on XFS shares the data of a large file with the container", async (t) => {
  const lacking = lackingFor("mkfs.xfs");
  if (lacking !== undefined) return t.skip(lacking);
  const harbour = await Harbour.open("reflink", {
    async prepare({ directory, root }) {
      const image = join(directory, "xfs");
      writeFileSync(image, "");
      truncateSync(image, 1024 * 1024 * 1024);
      execFileSync("mkfs.xfs", ["-q", "-m", "reflink=1", image]);
      execFileSync("mount", ["-o", "loop", image, root]);
    },
  });
  t.after(() => harbour.dispose());
  await harbour.run("large", "busybox dd if=/dev/zero of=/large bs=1M count=128 2>/dev/null; busybox sync; sleep 1000");
  await harbour.exec("large", "sh", "-c", "until [ $(busybox stat -c %s /large) = 134217728 ]; do sleep 1; done");
  const { paused, pausedNanoseconds, sharedBytes, copiedBytes } = await harbour.pictures.take({
    container: "large",
    name: "picture",
  });
  assert.deepEqual(paused, ["large"]);
  assert.equal(copiedBytes, 0n);
  assert.ok(sharedBytes >= 128n * 1024n * 1024n);
  t.diagnostic(`128 MB shared, paused for ${(Number(pausedNanoseconds) / 1e6).toFixed(1)} ms`);
  await harbour.exec("large", "sh", "-c", "echo changed > /large");
  await harbour.ctr("run", "--rm", "example.test/busybox:1", "other", "true");
  assert.match((await harbour.shiplog("snapshot", "diff", "picture", "large")).stdout, /^M large$/m);
  await harbour.remove("large");
  await harbour.isSound();
});
