/** A log's path reaches what it names and nothing else: whoever may write in its directory leads the shim, which is root, nowhere. */
import assert from "node:assert/strict";
import { lstat, readFile, rename, symlink, writeFile } from "node:fs/promises";
import { type TestContext, test } from "node:test";
import { temporaryDirectory } from "../../harness/temporary.ts";
import { assertConsecutive, feed, lineNumbers, numberedChunks, openLog, readLog } from "./log-files.ts";

/** A directory for logs, and a file elsewhere that must stay as it is. */
async function site(t: TestContext) {
  const directory = await temporaryDirectory(t);
  const target = `${await temporaryDirectory(t)}/target`;
  await writeFile(target, "theirs\n");
  const assertUntouched = async () => assert.equal(await readFile(target, "utf8"), "theirs\n");
  return { path: `${directory}/c.log`, target, assertUntouched };
}

for (const scheme of ["json-file", "cri"]) {
  test(`${scheme} is refused when its path is a symbolic link, also one that leads nowhere`, async (t) => {
    const { path, target, assertUntouched } = await site(t);
    await symlink(target, path);
    await assert.rejects(openLog(`${scheme}://${path}`), /failed to open log file .*: ELOOP/);
    await assertUntouched();
    await symlink(`${target}-new`, `${path}2`);
    await assert.rejects(openLog(`${scheme}://${path}2`), /ELOOP/);
    await assert.rejects(lstat(`${target}-new`), { code: "ENOENT" });
  });

  test(`${scheme} goes on in the old file when a reopened path is a symbolic link`, async (t) => {
    const { path, target, assertUntouched } = await site(t);
    const log = await openLog(`${scheme}://${path}`);
    await feed(log, numberedChunks(0, 10));
    await rename(path, `${path}.moved`);
    await symlink(target, path);
    await assert.rejects(log.reopen(), { code: "ELOOP" });
    await feed(log, numberedChunks(10, 20));
    await log.close();
    await assertUntouched();
    assertConsecutive(lineNumbers(await readLog(`${path}.moved`, scheme)), 0, 20);
  });
}

test("a rotation writes to none of the symbolic links that lie under its names", async (t) => {
  const { path, target, assertUntouched } = await site(t);
  const log = await openLog(`cri://${path}?max-size=20k&max-file=100&compress=true`);
  for (const name of ["next.tmp", "gz.tmp"]) await symlink(target, `${path}.${name}`);
  await feed(log, numberedChunks(0, 5_000));
  await log.close();
  await assertUntouched();
  assertConsecutive(lineNumbers(await readLog(path, "cri")), 0, 5_000);
});

test("a compression reads no symbolic link that lies under the name of a rotated file", async (t) => {
  const { path, target } = await site(t);
  await symlink(target, `${path}.1`);
  const log = await openLog(`cri://${path}?max-size=20k&max-file=3&compress=true`);
  await log.close();
  assert.ok((await lstat(`${path}.1`)).isSymbolicLink());
  await assert.rejects(lstat(`${path}.1.gz`), { code: "ENOENT" });
});
