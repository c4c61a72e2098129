import assert from "node:assert/strict";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { openStdio } from "../../../src/shim/io/mod.ts";
import { within } from "../../harness/eventually.ts";
import { makeBundle, requestFor, Site } from "./container.ts";

const timeout = 60_000;

/** A logger, as a shell script. Nothing but its arguments and its two variables comes from outside. */
async function logger(directory: string, script: string): Promise<string> {
  const path = join(directory, "logger");
  await writeFile(path, `#!/bin/busybox sh\n${script}\n`);
  await chmod(path, 0o755);
  return path;
}

const copying =
  "busybox tr '\\0' '\\n' < /proc/$$/environ > $2; echo \"$@\" >> $2; exec 5>&-; busybox cat <&3 >> $2.out & busybox cat <&4 >> $2.err; wait; echo end >> $2";

test("a logger gets its arguments, its environment, both streams, and time to end", { timeout }, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const bundle = await makeBundle(directory, ["sh", "-c", "seq 5000; echo err >&2"]);
  const path = await logger(directory, copying);
  const log = join(directory, "log");
  const { container, stdio } = await site.start(bundle, { stdout: `binary://${path}?out=${log}&b=c%20d` });
  await container.ended();
  await stdio.drained;
  await stdio.close();
  const id = requestFor(bundle, {}).containerId;
  assert.deepEqual((await readFile(log, "utf8")).split("\n"), [
    `CONTAINER_ID=${id}`,
    "CONTAINER_NAMESPACE=shiplog-io",
    `out ${log} b c d`,
    "end",
    "",
  ]);
  assert.equal((await readFile(`${log}.out`, "utf8")).length, 23_893);
  assert.equal(await readFile(`${log}.err`, "utf8"), "err\n");
});

test("a logger of a terminal gets what it shows", { timeout }, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const bundle = await makeBundle(directory, ["sh", "-c", "echo out; echo err >&2"], { terminal: true });
  const path = await logger(directory, copying);
  const log = join(directory, "log");
  const { stdio } = await site.start(bundle, { terminal: true, stdout: `binary://${path}?out=${log}` });
  await stdio.drained;
  await stdio.close();
  assert.equal(await readFile(`${log}.out`, "utf8"), "out\r\nerr\r\n");
});

test("a logger that ends early is ready for binary, and an error for binary-v2", { timeout }, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const bundle = await makeBundle(directory, ["true"]);
  const path = await logger(directory, "exit 0");
  const stdio = await openStdio(requestFor(bundle, { stdout: `binary://${path}` }));
  await stdio.close();
  await assert.rejects(openStdio(requestFor(bundle, { stdout: `binary-v2://${path}` })), {
    message:
      "failed to create init process I/O: logging binary did not call ready (it may have crashed or exited prematurely)",
  });
  const ready = await logger(directory, "echo >&5; exec 5>&-; exec busybox cat <&3 >/dev/null");
  const second = await openStdio(requestFor(bundle, { stdout: `binary-v2://${ready}` }));
  await second.close();
});

test("a logger that does not leave is told to by SIGTERM", { timeout }, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const bundle = await makeBundle(directory, ["true"]);
  const log = join(directory, "log");
  const path = await logger(
    directory,
    "trap 'echo told > $2; exit' TERM; exec 5>&-; while true; do busybox sleep 0.1; done",
  );
  const stdio = await openStdio(requestFor(bundle, { stdout: `binary://${path}?out=${log}` }));
  await within("the logger has left", 10_000, stdio.close());
  assert.equal(await readFile(log, "utf8"), "told\n");
});

test("a logger that dies gives the process EPIPE, as containerd's shim does", { timeout }, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const bundle = await makeBundle(directory, ["sh", "-c", "while echo x; do true; done"]);
  const path = await logger(directory, "exec 5>&-; read line <&3; exit 1");
  const { container } = await site.start(bundle, { stdout: `binary://${path}` });
  await within("the process has ended", 20_000, container.ended());
});
