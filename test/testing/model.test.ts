/**
 * The model held against shiplogd and against Debian's containerd, on both at once, and every transition of the charts taken on the way.
 * SHIPLOG_MODEL_RUNS and SHIPLOG_MODEL_SEED set how many sequences of records there are, and by which random numbers.
 */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { connect } from "../../src/cli/client.ts";
import {
  check,
  type CheckOptions,
  clientsOf,
  commandTypes,
  type Endpoint,
  faultSequences,
  killedClientsOf,
  mixtures,
  readScript,
  runConcurrently,
  runTogether,
  taskSequences,
  type Transition,
} from "../../src/testing/mod.ts";
import { covered, drawn, factsIn } from "./coverage.ts";
import { rootfs, type Runtime, runtime } from "./daemons.ts";
import { pinned, pinnedTasks } from "./pinned.ts";
import { recordTours, taskTours } from "./tours.ts";
import { unreachable } from "./unreachable.ts";

const runs = Number(process.env.SHIPLOG_MODEL_RUNS ?? 400);
const seed = Number(process.env.SHIPLOG_MODEL_SEED ?? Date.now() % 1_000_000);

/** Sequences of other kinds for each of records: they cost a hundred times as much. */
const share = (part: number) => Math.max(1, Math.round(runs * part));
/** Of the sequences of records, those that wait for collections: one at a time. */
const COLLECTING = 0.3;

const taken: Transition[] = [];
const seen = new Set<string>();

/** What the log of a shiplogd shows after a check, for the coverage at the end. */
async function note({ daemon }: Runtime, transitions: readonly Transition[]): Promise<void> {
  taken.push(...transitions);
  const connection = connect(daemon.address);
  try {
    for (const fact of await factsIn(connection, "model-")) seen.add(fact);
  } finally {
    connection.close();
  }
}

async function both(t: TestContext, options: Parameters<typeof runtime>[2] = {}) {
  const runtimes = await Promise.all((["shiplog", "containerd"] as const).map((which) => runtime(t, which, options)));
  return { ours: runtimes[0]!, endpoints: runtimes.map(({ endpoint }) => endpoint) };
}

/** Runs the scripts on all of the endpoints; what they took counts. */
async function tour(ours: Runtime, endpoints: readonly Endpoint[], scripts: readonly string[]): Promise<void> {
  for (const script of scripts) {
    const all = await runTogether(readScript(script, commandTypes), endpoints);
    await note(
      ours,
      all.flatMap((run) => run.taken),
    );
  }
}

/** Checks, and tells how fast. */
async function tell(t: TestContext, options: CheckOptions) {
  const since = performance.now();
  const report = await check({ ...options, seed });
  const perMinute = Math.round((report.sequences * 60_000) / (performance.now() - since));
  const codes = Object.entries(report.codes).map(([code, count]) => `${count} ${code}`);
  t.diagnostic(
    `${report.sequences} sequences on each, ${perMinute} a minute, ${report.commands} commands: ${codes.join(", ")}`,
  );
  return report;
}

test(`the model is right about shiplogd and containerd in ${runs} sequences of records on both at once (seed ${seed})`, async (t) => {
  const { ours, endpoints } = await both(t, { inMemory: true });
  const collecting = await tell(t, { endpoints, runs: share(COLLECTING) });
  const atOnce = await tell(t, { endpoints, runs: runs - share(COLLECTING), atOnce: 6 });
  await tour(ours, endpoints, recordTours);
  await note(ours, [...collecting.taken, ...atOnce.taken]);
  for (const { codes } of [collecting, atOnce])
    assert.ok(codes.OK! > 0 && codes.NotFound! > 0 && codes.AlreadyExists! > 0);
});

test(`the model is right about containers that run, on both at once (seed ${seed})`, async (t) => {
  const { ours, endpoints } = await both(t, { rootfs: await rootfs(t) });
  const { taken } = await tell(t, { endpoints, runs: share(0.02), atOnce: 2, sequences: taskSequences() });
  for (const { name, script } of pinnedTasks) await t.test(name, () => tour(ours, endpoints, [script]));
  await t.test("every part of a task's life", () => tour(ours, endpoints, taskTours));
  await note(ours, taken);
});

test(`daemons and shims that are killed, and projections that are removed, change nothing that the model says (seed ${seed})`, async (t) => {
  const ours = await runtime(t, "shiplog", { rootfs: await rootfs(t), withFaults: true });
  const { taken } = await tell(t, { endpoints: [ours.endpoint], runs: share(0.006), sequences: faultSequences() });
  await note(ours, taken);
  for (const status of ["created", "running", "paused", "stopped"] as const) {
    await t.test(`the shim of a task that is ${status} is replaced`, () =>
      tour(ours, [ours.endpoint], [`${begun[status]}\nshim kill x\ndaemon kill\ntasks info x`]),
    );
  }
});

const begun = {
  created: "containers create x\ntasks create x",
  running: "containers create x\ntasks create x\ntasks start x",
  paused: "containers create x\ntasks create x\ntasks start x\ntasks pause x",
  stopped: "containers create x\ntasks create x\ntasks start x\ntasks kill x",
};

test(`what several clients are told at once fits one order of their commands (seed ${seed})`, async (t) => {
  const { endpoints } = await both(t, { inMemory: true });
  const any = fc.oneof(...mixtures.map((types) => clientsOf(types)));
  let calls = 0;
  const isRight = async (endpoint: Endpoint, asked: Parameters<typeof runConcurrently>[0]) => {
    calls += (await runConcurrently(asked, endpoint)).length;
  };
  const property = fc.asyncProperty(
    any,
    async (asked) => void (await Promise.all(endpoints.map((each) => isRight(each, asked)))),
  );
  await fc.assert(property, { seed, numRuns: share(0.1) });
  t.diagnostic(`${calls} calls beside others`);
});

test(`a daemon that is killed among the calls of several clients has done what it has answered (seed ${seed})`, async (t) => {
  const { endpoint } = await runtime(t, "shiplog", { withFaults: true });
  const any = fc.oneof(...mixtures.map((types) => killedClientsOf(types)));
  const calls = { answered: 0, cut: 0 };
  const property = fc.asyncProperty(any, async (asked) => {
    for (const { answer } of await runConcurrently(asked, endpoint))
      calls[answer === undefined ? "cut" : "answered"] += 1;
  });
  await fc.assert(property, { seed, numRuns: share(0.006) });
  t.diagnostic(`${calls.answered} calls answered, ${calls.cut} cut off`);
});

test("what the model has found is as it says, on both", async (t) => {
  const { endpoints } = await both(t, { inMemory: true });
  for (const { name, script } of pinned) {
    await t.test(name, async () => void (await runTogether(readScript(script, commandTypes), endpoints)));
  }
});

test("every transition of every chart was taken that clients can bring about", () => {
  const hit = covered(taken, seen);
  const missed = drawn().filter((name) => !hit.has(name));
  const unexplained = missed.filter((name) => !unreachable.some(({ transitions }) => transitions.test(name)));
  assert.deepEqual(unexplained, []);
  const explained = drawn().filter((name) => unreachable.some(({ transitions }) => transitions.test(name)));
  assert.deepEqual(
    explained.filter((name) => hit.has(name)),
    [],
    "named as out of reach, and taken",
  );
});
