/**
 * Durability, tested by killing: SIGKILL at random moments while containers are made, run, exec'd and removed. SHIPLOG_CRASH_KILLS and
 * SHIPLOG_CRASH_SEED set how often and by which random numbers.
 */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { connect, type Connection } from "../../src/cli/client.ts";
import { verifyRoot } from "../../src/verify.ts";
import { log, snapshots, TaskStatus, tasks } from "../../src/wire/mod.ts";
import { removeRuncTraces, runcTraces } from "../harness/runc-traces.ts";
import { ctr } from "../harness/ctr.ts";
import { shiplogd, type TestDaemon } from "../harness/daemons.ts";
import { eventually, within } from "../harness/eventually.ts";
import { buildImage } from "../harness/image.ts";
import { temporaryDirectory } from "../harness/temporary.ts";
import { mountsBelow, shimsOf } from "../harness/traces.ts";
import { History } from "./history.ts";
import { Load } from "./load.ts";

const kills = Number(process.env.SHIPLOG_CRASH_KILLS ?? 100);
const seed = Number(process.env.SHIPLOG_CRASH_SEED ?? Date.now() % 1_000_000);
/** Of this run alone: runc keeps the states of all daemons in one place, by namespace. */
const namespace = `crash-${process.pid}`;
const WORKERS = 3;
/** Longest time that the daemon lives under load before it is killed. */
const KILL_WITHIN_MS = 500;
/** How long any one part may take before it counts as hung. */
const STEP_MS_MAX = 60_000;
/** Containers that are left running across crashes. */
const LEFT_RUNNING_MAX = 4;

test(`${kills} kills lose nothing that was acknowledged and leave nothing behind (seed ${seed})`, async (t) => {
  const random = mulberry32(seed);
  const directory = await temporaryDirectory(t);
  const image = await buildImage(directory);
  const daemon = await shiplogd(["--log-level", "warn"]);
  t.after(() => daemon.dispose());
  await daemon.start();
  const imported = await ctr(daemon.address, namespace, ["images", "import", image.archive]);
  assert.equal(imported.code, 0, imported.stderr);
  const load = new Load(namespace, await topSnapshot(daemon), random);
  const history = new History(namespace);
  t.after(() => removeRuncTraces(namespace));

  for (let kill = 0; kill < kills; kill += 1) {
    const connection = connected(t, daemon);
    const workers = Array.from({ length: WORKERS }, () => load.work(connection));
    const failed = Promise.all(workers).then(
      () => undefined,
      (error: Error) => error,
    );
    const early = await Promise.race([failed, delay(random() * KILL_WITHIN_MS)]);
    assert.equal(early, undefined);
    await daemon.end("SIGKILL");
    const error = await within(`kill ${kill}: calls end with the daemon`, STEP_MS_MAX, failed);
    assert.ifError(error);
    connection.close();
    await daemon.start();
    await within(`kill ${kill}: checks after the restart`, STEP_MS_MAX, checkAfterRestart(t, daemon, load, history));
  }

  const connection = connected(t, daemon);
  for (const life of load.lives) if (!life.done) await load.finish(connection, life);
  await history.readOn(connection);
  for (const life of load.lives) history.check(life);
  const report = await connection.service(log.LogDefinition).verify({});
  assert.deepEqual(report.problems, []);
  connection.close();
  await checkTraces(t, daemon, []);
  assert.deepEqual(await runcTraces(namespace), [], "no cgroup and no state of runc's is left");
  await daemon.end("SIGTERM");
  const offline = await verifyRoot(daemon.paths.root);
  assert.deepEqual(offline.problems, []);
  const exits = history.facts.filter(({ type }) => type === "TaskExited").length;
  t.diagnostic(
    `${kills} kills, ${load.lives.length} containers, ${exits} exits, ${offline.facts} facts, ${offline.rows} rows equal a fold of the log`,
  );
});

async function checkAfterRestart(t: TestContext, daemon: TestDaemon, load: Load, history: History): Promise<void> {
  const connection = connected(t, daemon);
  const taskService = connection.service(tasks.TasksDefinition, { namespace });
  const { tasks: listed } = await taskService.list({});
  const byId = new Map(listed.map((process) => [process.id, process]));
  for (const process of listed) {
    assert.notEqual(process.status, TaskStatus.UNKNOWN, `${process.id} is in a state that somebody can explain`);
    const life = load.lives.find(({ id }) => id === process.id)!;
    if (process.status === TaskStatus.RUNNING && life.exitCode === undefined && !life.killed) {
      assert.ok(await isSleeping(process.pid), `${process.id} is listed as running and runs`);
    }
  }
  await checkTraces(t, daemon, [...byId.keys()]);
  await history.readOn(connection);
  const unfinished = load.lives.filter(({ done }) => !done);
  for (const life of unfinished) history.check(life);
  for (const life of unfinished.slice(0, Math.max(0, unfinished.length - LEFT_RUNNING_MAX)))
    await load.finish(connection, life);
  await history.readOn(connection);
  for (const life of unfinished) history.check(life);
  connection.close();
}

/** Shims, mounts and snapshot directories are exactly those of live entities. */
async function checkTraces(t: TestContext, daemon: TestDaemon, live: readonly string[]): Promise<void> {
  const sorted = (ids: readonly string[]) => [...ids].sort();
  await eventually(`shims are those of ${live.join(" ")}`, async () => {
    const shims = sorted((await shimsOf(daemon.address)).map(({ id }) => id));
    return JSON.stringify(shims) === JSON.stringify(sorted(live)) ? true : undefined;
  });
  const bundle = (id: string) => join(daemon.paths.state, "io.containerd.runtime.v2.task", namespace, id);
  for (const point of await mountsBelow(daemon.paths.directory)) {
    assert.ok(
      live.some((id) => point.startsWith(`${bundle(id)}/`)),
      `${point} belongs to a live task`,
    );
  }
  const bundles = await readdir(join(daemon.paths.state, "io.containerd.runtime.v2.task", namespace)).catch(() => []);
  assert.deepEqual(sorted(bundles), sorted(live), "bundles are those of live tasks");
  const connection = connected(t, daemon);
  const rows: string[] = [];
  for await (const { info } of connection
    .service(snapshots.SnapshotsDefinition, { namespace })
    .list({ snapshotter: "overlayfs" })) {
    rows.push(...info.map(({ name }) => name));
  }
  connection.close();
  const directories = await readdir(join(daemon.paths.root, "io.containerd.snapshotter.v1.overlayfs", "snapshots"));
  assert.equal(directories.length, rows.length, "snapshot directories are those of live snapshots");
}

/** A connection that does not keep a failed test from ending. */
function connected(t: TestContext, daemon: TestDaemon): Connection {
  const connection = connect(daemon.address);
  t.after(() => connection.close());
  return connection;
}

async function topSnapshot(daemon: TestDaemon): Promise<string> {
  const { stdout } = await ctr(daemon.address, namespace, ["snapshots", "ls"]);
  const rows = stdout
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/ +/));
  const parents = new Set(rows.map(([, parent]) => parent));
  return rows.find(([key]) => !parents.has(key))![0]!;
}

async function isSleeping(pid: number): Promise<boolean> {
  return (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).startsWith("sleep");
}

/** A small seeded generator, so that a failing run can be run again. */
function mulberry32(state: number): () => number {
  let a = state;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
