import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

const root = join(import.meta.dirname, "../..");

test("generated code is what proto/ says when it is generated anew", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "shiplog-generate-"));
  t.after(() => rm(directory, { recursive: true }));
  const bin = join(root, "node_modules/.bin");
  await promisify(execFile)(join(bin, "buf"), ["generate", "--output", directory], {
    cwd: root,
    env: { PATH: `${bin}${delimiter}${process.env.PATH}`, BUF_CACHE_DIR: join(directory, "cache") },
  });
  const fresh = await filesUnder(join(directory, "src/wire/gen"));
  const kept = await filesUnder(join(root, "src/wire/gen"));
  assert.notEqual(fresh.size, 0);
  assert.deepEqual([...kept.keys()], [...fresh.keys()]);
  for (const [name, text] of fresh) assert.equal(kept.get(name), text, `${name} is out of date: npm run generate`);
});

/** Text by path below the directory, in the order of the paths. */
async function filesUnder(directory: string): Promise<Map<string, string>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const texts = await Promise.all(
    paths.sort().map(async (path) => [path.slice(directory.length + 1), await readFile(path, "utf8")] as const),
  );
  return new Map(texts);
}
