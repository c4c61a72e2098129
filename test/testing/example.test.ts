/** The example is a project of its own: it finds `shiplog/testing` as npm would have linked it, and holds a shiplogd against the model. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { shiplogdWithoutCollection } from "../harness/daemons.ts";
import { temporaryDirectory } from "../harness/temporary.ts";

const repository = fileURLToPath(new URL("../..", import.meta.url));
const LINES_MAX = 10;

test("a fresh project holds a runtime against the model in ten lines", async (t) => {
  const daemon = await shiplogdWithoutCollection();
  t.after(() => daemon.dispose());
  await daemon.start();
  const project = await temporaryDirectory(t);
  await cp(join(repository, "examples", "test-a-runtime"), project, { recursive: true });
  await mkdir(join(project, "node_modules"));
  await symlink(repository, join(project, "node_modules", "shiplog"));
  const source = await readFile(join(project, "runtime.test.mjs"), "utf8");
  assert.ok(source.trim().split("\n").length <= LINES_MAX);
  // The variable is how a test runner tells its own children that they are; this one is nobody's child.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, ["--test", "--test-reporter", "tap"], {
    cwd: project,
    env: { ...env, RUNTIME_SOCKET: daemon.address },
  });
  assert.match(stdout, /# 200 sequences, \d+ commands/);
});
