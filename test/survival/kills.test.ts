/**
 * Shims killed at random moments, some with their daemon, while containers live every part of their lives. SHIPLOG_SHIM_KILLS sets how many in
 * each grouping, SHIPLOG_SURVIVAL_SEED by which random numbers.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Grouping } from "../../src/shim/program/address.ts";
import { deeds, Life, LINES } from "./life.ts";
import { killIfThere, sparesOf } from "./processes.ts";
import { Random } from "./random.ts";
import { Stage, type StagedFact } from "./stage.ts";

const kills = Number(process.env.SHIPLOG_SHIM_KILLS ?? 3);
const seed = Number(process.env.SHIPLOG_SURVIVAL_SEED ?? Date.now() % 1_000_000);
const WORKERS = 3;
/** Containers that live through all of it. */
const STAYING = 3;
/** Between one kill and the next as many calls are answered, at most, and so much time goes by. */
const STEPS_BETWEEN = 16;
const KILL_WITHIN_MS = 200;
/** How long calls may keep a kill waiting. */
const STEPS_MS_MAX = 5_000;
const WITH_DAEMON = 0.4;
const WITH_SPARE = 0.2;

for (const grouping of Object.values(Grouping)) {
  const name = `${kills} shims of a ${grouping} killed at random lose no container, invent no exit and leave nothing (seed ${seed})`;
  test(name, { timeout: 120_000 + 15_000 * kills }, async (t) => {
    const random = new Random(seed);
    const stage = await Stage.open(t, { grouping });
    const { lives, endedWithDaemon } = await liveThroughKills(stage, random, grouping);
    const facts = await stage.facts();
    for (const life of lives) await check(life, facts);
    for (const life of endedWithDaemon) checkKnown(life, facts);
    await stage.assertNothingLeft();
    tell(t, lives, facts);
  });
}

interface Lived {
  /** Every life that there was; all have ended and are deleted. */
  readonly lives: readonly Life[];
  /** Those that were over before the daemon was killed for the first time. */
  readonly endedWithDaemon: readonly Life[];
}

/** Shims alone are killed at first, and in the second half of the kills now and then the daemon with them. */
async function liveThroughKills(stage: Stage, random: Random, grouping: Grouping): Promise<Lived> {
  const lives: Life[] = [];
  let over = false;
  const begin = (stays: boolean) => {
    const sandbox = grouping === Grouping.Sandbox && random.chance(0.8) ? `sandbox-${random.below(2)}` : undefined;
    const life = new Life(stage, random, {
      id: `c${lives.length}`,
      deed: stays ? "waits" : random.pick(deeds),
      stays,
      sandbox,
    });
    lives.push(life);
    return life;
  };
  const work = async () => {
    while (!over) await begin(false).live();
  };
  const staying = Array.from({ length: STAYING }, () => begin(true));
  const all = Promise.all([...staying.map((life) => life.live()), ...Array.from({ length: WORKERS }, work)]);
  // The first failure ends the killing as well.
  const failed = all.then(
    () => undefined,
    (error: Error) => error,
  );
  let endedWithDaemon: readonly Life[] | undefined;
  for (let done = 0; done < kills; ) {
    const early = await Promise.race([failed, moment(lives, random)]);
    assert.ifError(early);
    if (done >= kills / 2) endedWithDaemon ??= lives.filter((life) => life.isOver);
    done += await killSome(stage, random, {
      most: kills - done,
      withDaemon: done >= kills / 2 && random.chance(WITH_DAEMON),
    });
  }
  over = true;
  for (const life of staying) life.release();
  await all;
  return { lives, endedWithDaemon: endedWithDaemon ?? [] };
}

/** A random one: after some calls, and somewhere in the middle of the next. */
async function moment(lives: readonly Life[], random: Random): Promise<void> {
  const steps = () => lives.reduce((sum, life) => sum + life.steps, 0);
  const goal = steps() + random.below(STEPS_BETWEEN);
  const deadline = Date.now() + STEPS_MS_MAX;
  while (steps() < goal && Date.now() < deadline) await delay(5);
  await delay(random.below(KILL_WITHIN_MS));
}

/** Kills at most `most` shims; how many it were. */
async function killSome(
  stage: Stage,
  random: Random,
  { most, withDaemon }: { readonly most: number; readonly withDaemon: boolean },
): Promise<number> {
  const daemonFirst = random.chance(0.5);
  const all = random.chance(0.3);
  if (random.chance(WITH_SPARE)) for (const pid of await sparesOf(stage.daemon.pid)) killIfThere(pid);
  if (withDaemon && daemonFirst) await stage.kill();
  const shims = (await stage.shims()).map(({ pid }) => pid);
  const victims = (all ? shims : shims.length === 0 ? [] : [random.pick(shims)]).slice(0, most);
  for (const pid of victims) killIfThere(pid);
  if (withDaemon && !daemonFirst) await stage.kill();
  if (withDaemon) await stage.start();
  return victims.length;
}

/** The daemon lived and saw the end itself, whatever became of the shim. */
function checkKnown({ id }: Life, facts: readonly StagedFact[]): void {
  const exits = facts.filter(({ stream, type }) => stream === `task/${id}` && type === "TaskExited");
  for (const { data } of exits) assert.ok(data.known, `how ${id} ended is known`);
}

/** What the log says of a life, held against what the programs did. */
async function check(life: Life, facts: readonly StagedFact[]): Promise<void> {
  const { id } = life;
  const own = facts.filter(({ stream }) => stream === `task/${id}`);
  const of = (type: string) => own.filter((fact) => fact.type === type);
  const told = own.map(({ type }) => type).join(" ");
  const runs = await life.runs();
  assert.equal(of("TaskCreated").length, 1, `${id} was created once: ${told}`);
  assert.equal(of("TaskDeleted").length, 1, `${id} was deleted once: ${told}`);
  // A program may have come to its end before anybody could tell that the start whose reply was lost had worked.
  const mayBeUntold = life.neverStarted || of("TaskStartFailed").length > 0;
  assert.ok(
    of("TaskStarted").length <= 1 && (mayBeUntold || of("TaskStarted").length === 1),
    `${id} was started once: ${told}`,
  );
  assert.equal(runs, life.neverStarted ? 0 : 1, `the program of ${id} was begun once`);
  if (!life.neverStarted) {
    assert.equal(of("TaskExited").length, 1, `${id} has one exit: ${told}`);
    const { status, known } = of("TaskExited")[0]!.data;
    if (known)
      assert.ok((await life.codes()).includes(status), `${id} ended with ${life.code}, not with ${status}: ${told}`);
  }
  for (const exec of life.execs) {
    const exits = of("ExecExited").filter(({ data }) => data.execId === exec.id);
    const started = of("ExecStarted").filter(({ data }) => data.execId === exec.id);
    assert.ok(exits.length <= 1 && started.length <= 1, `${exec.id} of ${id} begins and ends once: ${told}`);
    assert.ok((await life.runs(exec.id)) <= 1, `the program of ${id}'s ${exec.id} was begun once at most`);
    if (started.length === 1) assert.equal(exits.length, 1, `${exec.id} of ${id} was started and has an exit: ${told}`);
    for (const { data } of exits)
      if (data.known)
        assert.ok(
          [exec.code, 137].includes(data.status),
          `${exec.id} of ${id} ended with ${exec.code}, not with ${data.status}`,
        );
  }
  if (life.deed === "prints" && !life.neverStarted) {
    const lines = (await readFile(life.log, "utf8")).split("\n");
    assert.equal(lines.pop(), "", `the last line of ${id} is whole`);
    assert.equal(lines.length, LINES, `${id} has every line once`);
    for (const [index, line] of lines.entries()) assert.equal(line, `${index + 1}`, `${id} is in order`);
  }
}

function tell(t: TestContext, lives: readonly Life[], facts: readonly StagedFact[]): void {
  const count = (type: string) => facts.filter((fact) => fact.type === type).length;
  const unknown = facts.filter(({ type, data }) => /^(Task|Exec)Exited$/.test(type) && !data.known);
  t.diagnostic(
    [
      `${lives.length} containers, ${count("TaskExited")} exits, ${count("ExecExited")} of execs, ${unknown.length} of them unknown`,
      `${count("TaskShimLost")} times a container lost its shim, ${count("TaskShimReplaced")} times it had another`,
    ].join("; "),
  );
  for (const { stream, type, data } of unknown) {
    const lately = facts.filter((fact) => fact.stream === stream).map((fact) => fact.type);
    t.diagnostic(
      `nobody saw how ${stream} ${data.execId ?? ""} ended: ${type} after ${lately.slice(0, lately.indexOf(type)).slice(-6).join(" ")}`,
    );
  }
  const failures = new Map<string, number>();
  for (const failure of lives.flatMap((life) => life.failures)) {
    const kind = failure
      .replaceAll(/\b[ce]\d+\b/g, "X")
      .replaceAll(/\/\S+/g, "PATH")
      .slice(0, 200);
    failures.set(kind, (failures.get(kind) ?? 0) + 1);
  }
  for (const [kind, times] of [...failures].sort((a, b) => b[1] - a[1])) t.diagnostic(`${times} calls failed: ${kind}`);
}
