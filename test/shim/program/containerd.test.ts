import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { readJournal } from "../../../src/shim/journal/mod.ts";
import { ctr, CtrEvents } from "../../harness/ctr.ts";
import { containerd, type TestDaemon } from "../../harness/daemons.ts";
import { eventually } from "../../harness/eventually.ts";
import { buildImage, imageName } from "../../harness/image.ts";
import { removeRuncTraces, runcTraces } from "../../harness/runc-traces.ts";
import { temporaryDirectory } from "../../harness/temporary.ts";
import { mountsBelow, shimsOf } from "../../harness/traces.ts";
import { readLog } from "../log/log-files.ts";
import { smallDisk } from "../log/small-disk.ts";
import { isRunning, program } from "./workshop.ts";

const namespace = "shim-under-containerd";

/** containerd with our shim in its PATH and the image in its store. */
async function daemonWithImage(t: TestContext): Promise<TestDaemon> {
  const { archive } = await buildImage(await temporaryDirectory(t));
  const daemon = (await containerd()).withEnvironment({ PATH: `${dirname(program)}:${process.env.PATH}` });
  t.after(async () => {
    await daemon.dispose();
    await removeRuncTraces(namespace);
  });
  await daemon.start();
  await ok(daemon, ["images", "import", archive]);
  return daemon;
}

async function ok(daemon: TestDaemon, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await ctr(daemon.address, namespace, args);
  assert.equal(code, 0, `ctr ${args.join(" ")}: ${stderr}`);
  return stdout;
}

const runDetached = (daemon: TestDaemon, id: string, flags: readonly string[], command: string) =>
  ok(daemon, [
    "run",
    "-d",
    "--null-io",
    "--runtime",
    "io.containerd.shiplog.v1",
    ...flags,
    imageName,
    id,
    "sh",
    "-c",
    command,
  ]);

const pidOf = async (daemon: TestDaemon, id: string) =>
  Number(new RegExp(`^${id} +(\\d+)`, "m").exec(await ok(daemon, ["tasks", "ls"]))![1]);

test("a container of containerd's on our shim outlives containerd, which finds its exit when it is back", {
  timeout: 90_000,
}, async (t) => {
  const daemon = await daemonWithImage(t);
  const flag = await temporaryDirectory(t);
  const mount = `type=bind,src=${flag},dst=/flag,options=rbind:ro`;
  await runDetached(daemon, "one", ["--mount", mount], "while [ ! -e /flag/go ]; do sleep 0.05; done; exit 7");
  const pid = await pidOf(daemon, "one");
  await daemon.end("SIGKILL");
  await writeFile(join(flag, "go"), "");
  await eventually("the container has ended", async () => ((await isRunning(pid)) ? undefined : true));
  await daemon.start();
  assert.match(await ok(daemon, ["tasks", "ls"]), new RegExp(`^one +${pid} +STOPPED`, "m"));
  assert.match((await ctr(daemon.address, namespace, ["tasks", "rm", "one"])).stderr, /exit code 7/);
  await ok(daemon, ["containers", "rm", "one"]);
  await eventually("no shim is left", async () => ((await shimsOf(daemon.address)).length === 0 ? true : undefined));
  assert.deepEqual(await runcTraces(namespace), []);
});

test("containerd clears away a container whose shim was killed, by our delete", { timeout: 90_000 }, async (t) => {
  const daemon = await daemonWithImage(t);
  const events = await CtrEvents.start(daemon.address);
  await runDetached(daemon, "one", [], "sleep 1000");
  const pid = await pidOf(daemon, "one");
  const [shim] = await shimsOf(daemon.address);
  process.kill(shim!.pid, "SIGKILL");
  const bundles = join(daemon.paths.state, "io.containerd.runtime.v2.task", namespace);
  await eventually("the bundle is gone", async () => ((await readdir(bundles)).length === 0 ? true : undefined));
  assert.ok(!(await isRunning(pid)));
  const exits = (await events.end(daemon.address)).filter((line) => line.includes("/tasks/exit"));
  assert.equal(exits.length, 1);
  assert.match(exits[0]!, /"exit_status":137/);
  await ok(daemon, ["containers", "rm", "one"]);
  assert.deepEqual(await mountsBelow(daemon.paths.state), []);
  assert.deepEqual(await runcTraces(namespace), []);
});

test("containerd takes a loss of output, a type of event that it does not know, and what comes after it", {
  timeout: 90_000,
}, async (t) => {
  const daemon = await daemonWithImage(t);
  const disk = await smallDisk(t);
  const events = await CtrEvents.start(daemon.address);
  await disk.fill(0);
  const log = `cri://${disk.directory}/log?on-full=drop`;
  const script = "i=0; while [ $i -lt 1000 ]; do echo $i; i=$((i + 1)); done; exec sleep 1000";
  await ok(daemon, [
    "run",
    "-d",
    "--log-uri",
    log,
    "--runtime",
    "io.containerd.shiplog.v1",
    imageName,
    "one",
    "sh",
    "-c",
    script,
  ]);
  const bundle = join(daemon.paths.state, "io.containerd.runtime.v2.task", namespace, "one");
  const entries = () => readJournal(bundle)!;
  const lost = () => entries().find(({ record }) => record.type === "outputLost");
  const isTaken = (number: number) =>
    entries().some(({ record }) => record.type === "acknowledged" && record.record === number);
  const { number, record } = await eventually("the loss is written down", lost);
  const kept = (await readLog(`${disk.directory}/log`, "cri")).length;
  assert.equal(record.type === "outputLost" && record.lines, 1000 - kept);
  await eventually("the loss is taken", () => (isTaken(number) ? true : undefined));
  await ok(daemon, ["tasks", "kill", "-s", "SIGKILL", "one"]);
  await eventually("it has ended", async () => (/STOPPED/.test(await ok(daemon, ["tasks", "ls"])) ? true : undefined));
  await ctr(daemon.address, namespace, ["tasks", "rm", "one"]);
  await ok(daemon, ["containers", "rm", "one"]);
  assert.match((await events.end(daemon.address)).join("\n"), /\/tasks\/exit/);
  assert.doesNotMatch(await daemon.log(), /refuses/);
  await eventually("no shim is left", async () => ((await shimsOf(daemon.address)).length === 0 ? true : undefined));
});

test("the containers of a sandbox share a shim under containerd, and each ends by itself", {
  timeout: 90_000,
}, async (t) => {
  const daemon = await daemonWithImage(t);
  const ids = ["a", "b", "c"];
  const annotation = ["--annotation", "io.kubernetes.cri.sandbox-id=pod"];
  for (const id of ids) await runDetached(daemon, id, annotation, "sleep 1000");
  assert.equal((await shimsOf(daemon.address)).length, 1);
  for (const id of ids) {
    const pid = await pidOf(daemon, id);
    await ok(daemon, ["tasks", "kill", "-s", "SIGKILL", id]);
    await eventually(`${id} has ended`, async () =>
      /STOPPED/.test(await ok(daemon, ["tasks", "ls"])) ? true : undefined,
    );
    assert.match((await ctr(daemon.address, namespace, ["tasks", "rm", id])).stderr, /exit code 137/);
    assert.ok(!(await isRunning(pid)));
    await ok(daemon, ["containers", "rm", id]);
  }
  await eventually("no shim is left", async () => ((await shimsOf(daemon.address)).length === 0 ? true : undefined));
  assert.deepEqual(await runcTraces(namespace), []);
});
