import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createReadStream, openSync } from "node:fs";
import { mkdir, open, readdir, readFile, readlink, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { openStdio, type StdioLoss, type StdioRequest } from "../../../src/shim/io/mod.ts";
import { closeDescriptor, makeFifo } from "../../../src/platform/mod.ts";
import { eventually, within } from "../../harness/eventually.ts";
import { makeBundle, requestFor, Site } from "./container.ts";

const timeout = 60_000;
const run = promisify(execFile);

/** A client that reads a FIFO from now on: everything up to its end, and what has come so far. */
function reading(path: string): { readonly all: Promise<string>; readonly soFar: () => string } {
  makeFifo(path, 0o700);
  const stream = createReadStream(path, "utf8");
  let text = "";
  const all = new Promise<string>((resolve, reject) => {
    stream.on("data", (chunk) => {
      text += chunk;
    });
    stream.once("end", () => resolve(text)).once("error", reject);
  });
  return { all, soFar: () => text };
}

/** Waits until it holds. */
const until = (what: string, holds: () => boolean) => eventually(what, () => holds() || undefined);
const seq = (count: number) => Array.from({ length: count }, (_, index) => `${index + 1}\n`).join("");

test("clients' FIFOs are the process's own outputs, and end when it does", { timeout }, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const bundle = await makeBundle(directory, ["sh", "-c", "seq 30000; echo oops >&2; echo again > /dev/stderr"]);
  const [stdout, stderr] = [reading(join(directory, "out")), reading(join(directory, "err"))];
  const { stdio } = await site.start(bundle, { stdout: join(directory, "out"), stderr: `fifo://${directory}/err` });
  assert.equal(await stdout.all, seq(30_000));
  assert.equal(await stderr.all, "oops\nagain\n");
  await stdio.drained;
  assert.deepEqual(await readdir(bundle).then((names) => names.includes("io")), false, "nothing is carried");
});

test("a reader of stdout that is gone holds the process up, and one that comes finds everything", {
  timeout,
}, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const bundle = await makeBundle(directory, ["sh", "-c", "seq 100000; echo done >&2"]);
  const path = join(directory, "out");
  makeFifo(path, 0o700);
  const first = openSync(path, "r+");
  const stderr = reading(join(directory, "err"));
  const { container } = await site.start(bundle, { stdout: path, stderr: join(directory, "err") });
  assert.equal(await readlink(`/proc/${container.pid}/fd/1`), path);
  closeDescriptor(first);
  const second = createReadStream(path, "utf8");
  let text = "";
  for await (const chunk of second) text += chunk;
  assert.equal(text, seq(100_000));
  assert.equal(await stderr.all, "done\n");
});

test("a client that comes to its FIFO late is waited for, and nothing that ended meanwhile is lost", {
  timeout,
}, async (t) => {
  const { directory } = await Site.open(t);
  const bundle = await makeBundle(directory, ["true"]);
  const path = join(directory, "out");
  makeFifo(path, 0o700);
  let isOpen = false;
  const opening = openStdio(requestFor(bundle, { stdout: path })).finally(() => {
    isOpen = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(!isOpen);
  const stream = createReadStream(path, "utf8");
  const stdio = await within("the client is seen", 5_000, opening);
  await run("sh", ["-c", 'echo early > "$0"', `/proc/${process.pid}/fd/${stdio.descriptors[1]}`]);
  await stdio.close();
  let text = "";
  for await (const chunk of stream) text += chunk;
  assert.equal(text, "early\n");
});

test("stdin goes on when its client leaves and another comes, and ends after CloseIO", { timeout }, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const bundle = await makeBundle(directory, ["cat", "/dev/stdin"]);
  const stdin = join(directory, "in");
  makeFifo(stdin, 0o700);
  const stdout = reading(join(directory, "out"));
  const { stdio } = await site.start(bundle, { stdin, stdout: join(directory, "out") });
  await writeFile(stdin, "one\n");
  await until("the first line comes back", () => stdout.soFar() === "one\n");
  const client = await open(stdin, "w");
  await client.write("two\n");
  await until("the second line comes back", () => stdout.soFar() === "one\ntwo\n");
  stdio.closeStdin();
  await client.write("three\n");
  await until("who still writes is heard", () => stdout.soFar() === "one\ntwo\nthree\n");
  await client.close();
  assert.equal(await within("cat sees the end", 10_000, stdout.all), "one\ntwo\nthree\n");
});

test("stdin that ended before the process reads it is all there, also by the name /dev/stdin", {
  timeout,
}, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const bundle = await makeBundle(directory, ["sh", "-c", "sleep 0.3; cat /dev/stdin"]);
  const stdin = join(directory, "in");
  makeFifo(stdin, 0o700);
  const stdout = reading(join(directory, "out"));
  const { stdio } = await site.start(bundle, { stdin, stdout: join(directory, "out") });
  await writeFile(stdin, "early");
  stdio.closeStdin();
  assert.equal(await within("cat ends", 10_000, stdout.all), "early");
});

test("a process that reads no more gives its client EPIPE", { timeout }, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const bundle = await makeBundle(directory, ["sh", "-c", "exec < /dev/null; echo ready; exec sleep 60"]);
  const stdin = join(directory, "in");
  makeFifo(stdin, 0o700);
  const stdout = reading(join(directory, "out"));
  await site.start(bundle, { stdin, stdout: join(directory, "out") });
  await until("it is ready", () => stdout.soFar() === "ready\n");
  const client = await open(stdin, "w");
  site.after(() => client.close());
  await eventually("a write fails", () =>
    client.write("x").then(
      () => undefined,
      (error) => error.code === "EPIPE" || undefined,
    ),
  );
});

test("a log file gets both streams in order, whole also when the process opens /dev/stderr again", {
  timeout,
}, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const script = "echo a; echo b >&2; echo c > /dev/stderr; echo d > /dev/stdout; seq 50000; echo e >&2";
  const bundle = await makeBundle(directory, ["sh", "-c", script], { uid: 1000 });
  const log = join(directory, "logs", "deep", "one.log");
  await mkdir(join(directory, "logs"));
  const { stdio } = await site.start(bundle, { stdout: `file://${log}`, stderr: `file://${log}` });
  await stdio.drained;
  assert.equal(await readFile(log, "utf8"), `a\nb\nc\nd\n${seq(50_000)}e\n`);
  assert.equal((await stat(log)).mode & 0o7777, 0o644);
  assert.equal((await stat(log)).uid, 0);
  assert.equal((await stat(join(directory, "logs", "deep"))).mode & 0o7777, 0o755);
  assert.equal((await stat(join(bundle, "io"))).mode & 0o7777, 0o700);
  assert.deepEqual(await readdir(join(bundle, "io")), []);
});

test("a log file is the process's own output where that is asked for", { timeout }, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const bundle = await makeBundle(directory, ["sh", "-c", "echo a; echo b >&2; exec sleep 60"]);
  const log = join(directory, "one.log");
  await writeFile(log, "before\n");
  const { container } = await site.start(bundle, { stdout: `file://${log}?direct=true` });
  await until("it printed", () => container.runs);
  await eventually("both lines are there", async () => (await readFile(log, "utf8")) === "before\na\nb\n" || undefined);
  assert.equal(await readlink(`/proc/${container.pid}/fd/2`), log);
});

test("a log file that was renamed is left alone after reopening", { timeout }, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const bundle = await makeBundle(directory, ["sh", "-c", "for i in $(seq 200); do echo $i; sleep 0.005; done"]);
  const log = join(directory, "one.log");
  const { stdio } = await site.start(bundle, { stdout: `file://${log}` });
  await eventually("something is there", async () => (await readFile(log, "utf8")).length > 0 || undefined);
  await rename(log, `${log}.1`);
  await stdio.reopenLogs();
  const before = await readFile(`${log}.1`, "utf8");
  await stdio.drained;
  assert.equal(await readFile(`${log}.1`, "utf8"), before);
  assert.equal(before + (await readFile(log, "utf8")), seq(200));
  assert.notEqual(before, seq(200));
});

test("a bare path that is no FIFO is appended to, and must be there", { timeout }, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const bundle = await makeBundle(directory, ["sh", "-c", "echo out; echo err >&2"]);
  const [stdout, stderr] = [join(directory, "out"), join(directory, "err")];
  await writeFile(stdout, "before\n");
  await assert.rejects(openStdio(requestFor(bundle, { stdout, stderr })), {
    message: `failed to create init process I/O: containerd-shim: opening file "${stderr}" failed: open ${stderr}: no such file or directory`,
  });
  await writeFile(stderr, "");
  const { stdio } = await site.start(bundle, { stdout, stderr });
  await stdio.drained;
  assert.equal(await readFile(stdout, "utf8"), "before\nout\n");
  assert.equal(await readFile(stderr, "utf8"), "err\n");
});

test("an exec has streams of its own beside its container's", { timeout }, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const bundle = await makeBundle(directory, ["sh", "-c", "echo init; exec sleep 60"]);
  const log = join(directory, "log");
  const { container } = await site.start(bundle, { stdout: `file://${log}` });
  const stdio = await openStdio(requestFor(bundle, { execId: "one", stdout: `file://${log}.exec` }));
  await container.exec(stdio, ["sh", "-c", "echo exec; echo end >&2"]);
  await within("the exec's output is drained", 10_000, stdio.drained);
  await stdio.close();
  assert.equal(await readFile(`${log}.exec`, "utf8"), "exec\nend\n");
  assert.equal(await readFile(log, "utf8"), "init\n");
  assert.deepEqual(await readdir(join(bundle, "io")), ["init-output"]);
});

test("streams belong to the group that is asked for", { timeout }, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const bundle = await makeBundle(directory, ["sleep", "60"]);
  makeFifo(join(directory, "in"), 0o700);
  makeFifo(join(directory, "out"), 0o700);
  await writeFile(join(directory, "err"), "");
  const reader = openSync(join(directory, "out"), "r+");
  const uris = { stdin: join(directory, "in"), stdout: join(directory, "out"), stderr: join(directory, "err") };
  const { container } = await site.start(bundle, { ...uris, ioUid: 1234, ioGid: 1235 });
  // The runtime itself hands them over to the process's user; what is left to see of the request is the group.
  for (const descriptor of [0, 1, 2])
    assert.equal((await stat(`/proc/${container.pid}/fd/${descriptor}`)).gid, 1235, `descriptor ${descriptor}`);
  assert.equal((await stat(join(directory, "err"))).gid, 0);
  closeDescriptor(reader);
});

test("a full disk holds the process up until there is space, and nothing is lost", { timeout }, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const bundle = await makeBundle(directory, ["seq", "400000"]);
  const disk = join(directory, "disk");
  await mkdir(disk);
  await run("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]);
  site.after(() => run("umount", [disk]));
  const { container, stdio } = await site.start(bundle, { stdout: `file://${disk}/log` });
  await eventually("the disk is full", async () => (await stat(join(disk, "log"))).size === 1024 * 1024 || undefined);
  assert.ok(container.runs);
  await run("mount", ["-o", "remount,size=16m", disk]);
  await within("all is written", 20_000, stdio.drained);
  assert.equal(await readFile(join(disk, "log"), "utf8"), seq(400_000));
});

for (const [scheme, written] of [
  ["file", (text: string) => text],
  [
    "cri",
    (text: string) =>
      text
        .split("\n")
        .slice(0, -1)
        .map((line) => `${line.split(" ")[3]}\n`)
        .join(""),
  ],
] as const) {
  test(`what a ${scheme} log's disk has no room for is counted when time is up, what is in the pipe included`, {
    timeout,
  }, async (t) => {
    const site = await Site.open(t);
    const { directory } = site;
    const lines = 70_000;
    const bundle = await makeBundle(directory, ["seq", String(lines)]);
    const disk = join(directory, "disk");
    await mkdir(disk);
    await run("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]);
    site.after(() => run("umount", [disk]));
    const losses: StdioLoss[] = [];
    const path = join(disk, "log");
    const onFull = scheme === "file" ? "" : "?on-full=block";
    const stdout = `${scheme}://${path}${onFull}`;
    const { container, stdio } = await site.start(bundle, { stdout, onLoss: (loss) => losses.push(loss) });
    await container.ended();
    stdio.abandon();
    await within("all is written or counted", 20_000, Promise.all([stdio.drained, stdio.close()]));
    const kept = written(await readFile(path, "utf8"));
    assert.ok(seq(lines).startsWith(kept));
    const lost = losses.reduce((sum, loss) => sum + loss.lines, 0);
    assert.equal(lost, lines - (kept.match(/\n/g)?.length ?? 0));
    if (scheme === "file") assert.equal(losses[0]!.bytes, seq(lines).length - kept.length);
  });
}

test("closing before the process was made ends everything at once", { timeout }, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const bundle = await makeBundle(directory, ["true"]);
  const stdout = reading(join(directory, "out"));
  const stdio = await openStdio(requestFor(bundle, { stdout: join(directory, "out") }));
  await stdio.close();
  await stdio.close();
  assert.equal(await stdout.all, "");
  const carried = await openStdio(requestFor(bundle, { stdout: `file://${directory}/log` }));
  await carried.close();
  await carried.drained;
  assert.deepEqual(await readdir(join(bundle, "io")), []);
});

test("no streams are the null device", { timeout }, async (t) => {
  const site = await Site.open(t);
  const bundle = await makeBundle(site.directory, ["sh", "-c", "cat; echo x; exec sleep 60"]);
  const { container, stdio } = await site.start(bundle, {});
  assert.deepEqual(stdio.descriptors, ["ignore", "ignore", "ignore"]);
  for (const descriptor of [0, 1, 2])
    assert.equal(await readlink(`/proc/${container.pid}/fd/${descriptor}`), "/dev/null");
  await stdio.drained;
});

test("what cannot be opened is refused in containerd's words, and nothing is left", { timeout }, async (t) => {
  const site = await Site.open(t);
  const { directory } = site;
  const bundle = await makeBundle(directory, ["true"]);
  const before = await openDescriptors();
  const refuse = (uris: Partial<StdioRequest>, message: string) =>
    assert.rejects(openStdio(requestFor(bundle, uris)), { message });
  const failed = "failed to create init process I/O: ";
  await refuse({ stdout: "syslog:///x" }, `${failed}unknown STDIO scheme syslog`);
  await refuse(
    { stdout: "file:///a%zz" },
    `${failed}unable to parse stdout uri: parse "file:///a%zz": invalid URL escape "%zz"`,
  );
  await refuse(
    { stdin: "/nowhere/in" },
    "failed to open stdin fifo /nowhere/in: stat /nowhere/in: no such file or directory",
  );
  await refuse(
    { stdout: `file://${directory}` },
    `${failed}containerd-shim: opening file "${directory}" failed: open ${directory}: is a directory`,
  );
  await refuse({ stdout: "file:///proc/version/x" }, `${failed}mkdir /proc/version: not a directory`);
  await refuse(
    { stdout: "binary:///nowhere/logger" },
    `${failed}failed to start binary process: fork/exec /nowhere/logger: no such file or directory`,
  );
  await refuse({ terminal: true, stdout: "syslog:///x" }, "failed to start console copy: unknown STDIO scheme syslog");
  const target = join(directory, "target");
  await writeFile(target, "");
  await symlink(target, join(directory, "link"));
  await refuse(
    { stdout: `file://${directory}/link` },
    `${failed}containerd-shim: opening file "${directory}/link" failed: open ${directory}/link: too many levels of symbolic links`,
  );
  await assert.rejects(openStdio(requestFor(bundle, { execId: "../x", stdout: `file://${target}` })), /is no name/);
  assert.deepEqual(await openDescriptors(), before);
  await rm(target);
});

async function openDescriptors(): Promise<readonly string[]> {
  const descriptors = await readdir("/proc/self/fd");
  return descriptors.slice(0, -1).sort();
}
