import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { open, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { makeFifo } from "../../../src/platform/mod.ts";
import { openStdio } from "../../../src/shim/io/mod.ts";
import { eventually, within } from "../../harness/eventually.ts";
import { makeBundle, requestFor, Site } from "./container.ts";

const timeout = 60_000;

const lines = (count: number) => Array.from({ length: count }, (_, index) => `${index + 1}\r\n`).join("");

for (const runtime of ["runc", "crun"])
  test(`a terminal carries both ways, has the size it is given, and ends with its process (${runtime})`, {
    timeout,
  }, async (t) => {
    const site = await Site.open(t);
    const { directory } = site;
    const bundle = await makeBundle(
      directory,
      ["sh", "-c", "stty -echo; echo ready; while read line; do eval $line; done"],
      { terminal: true },
    );
    const [stdin, stdout] = [join(directory, "in"), join(directory, "out")];
    makeFifo(stdin, 0o700);
    makeFifo(stdout, 0o700);
    const output = createReadStream(stdout, "utf8");
    let text = "";
    output.on("data", (chunk) => {
      text += chunk;
    });
    const end = new Promise((resolve) => output.once("end", resolve));
    const says = (what: string) =>
      eventually(`the terminal says ${JSON.stringify(what)}`, () => text.endsWith(what) || undefined);
    const { stdio } = await site.start(bundle, { terminal: true, stdin, stdout }, runtime);
    await says("ready\r\n");
    stdio.resize(101, 33);
    await writeFile(stdin, "stty size\n");
    await says("33 101\r\n");
    stdio.resize(50, 12);
    // Another client, after the first has left.
    await writeFile(stdin, "stty size\n");
    await says("12 50\r\n");
    await writeFile(stdin, "seq 20000; exit 3\n");
    await within("the terminal ends", 20_000, end);
    await within("its output is drained", 5_000, stdio.drained);
    assert.ok(text.endsWith(`12 50\r\n${lines(20_000)}`));
    stdio.resize(1, 1);
    stdio.closeStdin();
  });

test("a terminal holds its process up while nobody reads, and nothing is lost", { timeout }, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const bundle = await makeBundle(directory, ["sh", "-c", "seq 200000"], { terminal: true });
  const stdout = join(directory, "out");
  makeFifo(stdout, 0o700);
  const absent = await open(stdout, "r+");
  const { container, stdio } = await site.start(bundle, { terminal: true, stdout });
  // A pipe's worth, the terminal's own and one chunk: the process is far from its end, and stays so.
  let isDrained = false;
  void stdio.drained.then(() => {
    isDrained = true;
  });
  await eventually("the process waits in the terminal", async () => {
    const where = await readFile(`/proc/${container.pid}/wchan`, "utf8");
    const state = await readFile(`/proc/${container.pid}/stat`, "utf8");
    return (where !== "" && / S /.test(state)) || undefined;
  });
  assert.ok(container.runs && !isDrained);
  const output = createReadStream(stdout, "utf8");
  await absent.close();
  let text = "";
  for await (const chunk of output) text += chunk;
  assert.equal(text, lines(200_000));
  await stdio.drained;
});

test("the end of a terminal's input hangs it up, as containerd's shim does", { timeout }, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const bundle = await makeBundle(
    directory,
    ["sh", "-c", "trap 'exit 9' HUP; echo ready; while true; do sleep 1; done"],
    { terminal: true },
  );
  const stdin = join(directory, "in");
  makeFifo(stdin, 0o700);
  const log = join(directory, "log");
  const { container, stdio } = await site.start(bundle, { terminal: true, stdin, stdout: `file://${log}` });
  await eventually("it is ready", async () => (await readFile(log, "utf8")) === "ready\r\n" || undefined);
  stdio.closeStdin();
  await within("the output is at its end", 5_000, stdio.drained);
  await container.ended();
});

test("a terminal's output goes to a file, or nowhere; its socket is gone afterwards", { timeout }, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const log = join(directory, "log");
  for (const stdout of [`file://${log}`, ""]) {
    const bundle = await makeBundle(directory, ["sh", "-c", "seq 1000; echo x >&2"], { terminal: true });
    const { container, stdio } = await site.start(bundle, { terminal: true, stdout });
    await stdio.drained;
    await container.ended();
    assert.deepEqual(await readdir(join(bundle, "io")), []);
  }
  assert.equal(await readFile(log, "utf8"), `${lines(1_000)}x\r\n`);
});

test("a terminal that is never handed over is an error, and closing leaves nothing", { timeout }, async (t) => {
  const bundle = await makeBundle((await Site.open(t)).directory, ["true"], { terminal: true });
  const stdio = await openStdio(requestFor(bundle, { terminal: true }));
  const started = stdio.started();
  const failed = assert.rejects(
    started,
    /^Error: failed to retrieve console master: receive a descriptor at .*: closed before one came$/,
  );
  await stdio.close();
  await failed;
  await stdio.drained;
  assert.deepEqual(await readdir(join(bundle, "io")), []);
});
