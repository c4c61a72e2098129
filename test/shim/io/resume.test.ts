import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { makeFifo } from "../../../src/platform/mod.ts";
import { type ProcessStdio, resumeStdio, type StdioRequest } from "../../../src/shim/io/mod.ts";
import { eventually, within } from "../../harness/eventually.ts";
import { Container, makeBundle, requestFor, Site } from "./container.ts";

const timeout = 60_000;

/** Runs the container under a process of its own, which holds its streams until it is killed. */
async function hold(
  site: Site,
  request: StdioRequest,
): Promise<{ readonly container: Container; readonly kill: () => Promise<void> }> {
  const container = new Container(request.bundle);
  const holder: ChildProcess = spawn(
    process.execPath,
    [join(import.meta.dirname, "holder.ts"), JSON.stringify(request)],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const kill = async () => {
    if (holder.exitCode !== null || holder.signalCode !== null) return;
    holder.kill("SIGKILL");
    await once(holder, "exit");
  };
  site.after(async () => {
    await kill();
    await container.delete();
  });
  const [line] = await once(holder.stdout!, "data");
  container.pid = Number(line);
  return { container, kill };
}

async function resume(site: Site, request: StdioRequest): Promise<ProcessStdio> {
  const stdio = await resumeStdio(request);
  site.after(() => stdio.close());
  await stdio.started();
  stdio.closeStdin();
  stdio.resize(80, 24);
  return stdio;
}

const seq = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => String(from + index));

/** What was printed, of the text of a log. */
const messages: Readonly<Record<string, (text: string) => string>> = {
  file: (text) => text,
  cri: (text) => text.replace(/^\S+ std(out|err) F /gm, ""),
  "json-file": (text) => text.replace(/^.+$/gm, (line) => JSON.parse(line).log.trimEnd()),
};

for (const [scheme, printed] of Object.entries(messages))
  test(`${scheme}: a process prints on while its shim is dead, and every line is in the log of the next`, {
    timeout,
  }, async (t) => {
    const site = await Site.open(t);
    const { directory } = site;
    const go = "while [ ! -e /go ]; do sleep 0.02; done";
    const bundle = await makeBundle(directory, [
      "sh",
      "-c",
      `seq 20000; ${go}; seq 20001 30000; echo gone > /gone; exec seq 30001 120000`,
    ]);
    const log = join(directory, "log");
    const request = requestFor(bundle, { stdout: `${scheme}://${log}` });
    const { container, kill } = await hold(site, request);
    const text = async () => printed(await readFile(log, "utf8").catch(() => ""));
    await eventually("the first lines are there", async () => (await text()).endsWith("\n20000\n") || undefined);
    await kill();
    await writeFile(join(bundle, "rootfs", "go"), "");
    await eventually("the process went on", () => stat(join(bundle, "rootfs", "gone")).catch(() => undefined));
    const stdio = await resume(site, request);
    await within("all is drained", 20_000, stdio.drained);
    await container.ended();
    assert.deepEqual((await text()).trimEnd().split("\n"), seq(1, 120_000));
    assert.deepEqual(await readdir(join(bundle, "io")), []);
    // A third shim finds nothing to do, and adds nothing.
    await within("nothing is left", 5_000, (await resume(site, request)).drained);
    assert.ok((await text()).endsWith("\n120000\n"));
  });

test("a shim that is killed in the middle of a flood loses at most what was in its hand", { timeout }, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const bundle = await makeBundle(directory, ["seq", "3000000"]);
  const log = join(directory, "log");
  const request = requestFor(bundle, { stdout: `file://${log}` });
  const { kill } = await hold(site, request);
  await eventually("it floods", async () => (await stat(log).catch(() => undefined))?.size || undefined);
  await kill();
  const { size } = await stat(log);
  const stdio = await resume(site, request);
  await within("all is drained", 30_000, stdio.drained);
  const whole = Buffer.from(`${seq(1, 3_000_000).join("\n")}\n`);
  const found = await readFile(log);
  assert.ok(size < whole.length, "killed in the middle");
  const lost = whole.length - found.length;
  assert.ok(lost >= 0 && lost <= 512 * 1024, `${lost} bytes are lost`);
  assert.ok(found.subarray(0, size).equals(whole.subarray(0, size)));
  assert.ok(found.subarray(size).equals(whole.subarray(size + lost)));
});

test("a client's FIFO needs no shim at all", { timeout }, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const bundle = await makeBundle(directory, ["sh", "-c", "while [ ! -e /go ]; do sleep 0.02; done; exec seq 100000"]);
  const path = join(directory, "out");
  makeFifo(path, 0o700);
  const output = createReadStream(path, "utf8");
  let text = "";
  output.on("data", (chunk) => {
    text += chunk;
  });
  const end = once(output, "end");
  const request = requestFor(bundle, { stdout: path, stderr: path });
  const { kill } = await hold(site, request);
  await kill();
  await writeFile(join(bundle, "rootfs", "go"), "");
  await within("the client sees the end", 20_000, end);
  assert.equal(text, `${seq(1, 100_000).join("\n")}\n`);
  await (await resume(site, request)).drained;
});

test("a shim that died with a terminal has hung it up, and the next has nothing to do", { timeout }, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const script = "trap 'exit 9' HUP; echo ready; while true; do sleep 1; done";
  const bundle = await makeBundle(directory, ["sh", "-c", script], { terminal: true });
  const log = join(directory, "log");
  const request = requestFor(bundle, { terminal: true, stdout: `file://${log}` });
  const { container, kill } = await hold(site, request);
  await eventually("it is ready", async () => (await readFile(log, "utf8")) === "ready\r\n" || undefined);
  await kill();
  await container.ended();
  await (await resume(site, request)).drained;
});
