import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "../../harness/eventually.ts";
import { outputOf, Site, withTerminals } from "./shims.ts";

const limit = { timeout: 60_000 };
const shell = (script: string) => ["/bin/sh", "-c", script];

test("a terminal has the size that it was given last", limit, async (t) => {
  const site = await Site.open(t);
  const shim = await site.ours();
  const [stdin, out] = [join(site.directory, "stdin"), join(site.directory, "out")];
  execFileSync("mkfifo", [stdin]);
  const input = await open(stdin, "r+");
  site.after(() => input.close());
  await shim.run("one", shell("echo ready; read x; /bin/stty size; exit 5"), {
    terminal: true,
    stdin,
    stdout: `file://${out}`,
    edit: (spec) => {
      withTerminals(spec);
      spec.process.terminal = true;
    },
  });
  await eventually("ready", async () => (await outputOf(out).catch(() => "")).includes("ready") || undefined);
  await shim.call("resizePty", { id: "one", execId: "", width: 101, height: 33 });
  await input.write("\n");
  assert.equal(await shim.wait("one"), 5);
  await shim.delete("one");
  assert.match(await outputOf(out), /33 101/);
});

test("an exec has a terminal when its request says so, whatever its spec says", limit, async (t) => {
  const site = await Site.open(t);
  const shim = await site.ours();
  const out = join(site.directory, "out");
  await shim.run("one", ["/bin/sleep", "1000"], { edit: withTerminals });
  await shim.exec("one", "e", shell("test -t 0 && echo terminal"), { terminal: true, stdout: `file://${out}` });
  assert.equal(await shim.wait("one", "e"), 0);
  await shim.delete("one", "e");
  assert.match(await outputOf(out), /terminal/);
  await assert.rejects(shim.call("resizePty", { id: "one", execId: "e", width: 1, height: 1 }), {
    message: "process does not exist e: not found",
  });
  await shim.kill("one");
  await shim.wait("one");
  await shim.delete("one");
});

test("input ends when it was closed and its clients have left", limit, async (t) => {
  const site = await Site.open(t);
  const shim = await site.ours();
  const [stdin, out] = [join(site.directory, "stdin"), join(site.directory, "out")];
  execFileSync("mkfifo", [stdin]);
  await shim.run("one", ["/bin/cat"], { stdin, stdout: `file://${out}` });
  const first = await open(stdin, "w");
  await first.write("first\n");
  await first.close();
  const second = await open(stdin, "w");
  await second.write("second\n");
  await shim.call("closeIO", { id: "one", execId: "", stdin: true });
  await second.close();
  assert.equal(await shim.wait("one"), 0);
  await shim.delete("one");
  assert.equal(await outputOf(out), "first\nsecond\n");
});
