/**
 * A daemon that is killed and stays away: containers print and end meanwhile, and nothing of it is lost. SHIPLOG_AWAY_MS sets how long it is
 * away.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { makeFifo } from "../../src/platform/mod.ts";
import { eventually, within } from "../harness/eventually.ts";
import { isRunning } from "./processes.ts";
import { Stage, type StagedFact } from "./stage.ts";

const awayMs = Number(process.env.SHIPLOG_AWAY_MS ?? 5_000);
const CONTAINERS = 20;
const LINES = 100_000;
const CHUNKS = 20;
/** How much of the daemon's absence the printing takes. */
const PRINTING_SHARE = 0.5;
/** How late an end may be noticed on a busy machine, and how far the clock of file times is behind. */
const NOTICED_WITHIN_MS = 5_000;
const FILE_CLOCK_BEHIND_MS = 20;

const sinks = ["file", "json-file", "cri", "fifo"] as const;

interface Printer {
  readonly id: string;
  readonly code: number;
  readonly sink: (typeof sinks)[number];
  /** Its output as its client asked for it, and the file in which it has to be in the end. */
  readonly stdout: string;
  readonly file: string;
  pid: number;
}

test(`a daemon that is away for ${awayMs} ms loses no line and no exit`, { timeout: awayMs + 120_000 }, async (t) => {
  const stage = await Stage.open(t, { grouping: "sandbox" });
  const printers = Array.from({ length: CONTAINERS }, (_, index) => printerOf(stage, index));
  const readers = printers.filter(({ sink }) => sink === "fifo").map((printer) => readFifo(t, printer));
  const begin = async (printer: Printer) => {
    const containerId = printer.id;
    await stage.addContainer(containerId, scriptOf(printer));
    await stage.tasks.create({ containerId, rootfs: stage.rootfs, stdout: printer.stdout });
    printer.pid = (await stage.tasks.start({ containerId })).pid;
  };
  await Promise.all(printers.map(begin));
  await stage.write("go");
  for (const { id, file } of printers)
    await eventually(`${id} prints`, async () => ((await stat(file).catch(() => undefined))?.size ? true : undefined));
  for (const { pid } of printers) assert.ok(await isRunning(pid), "the daemon is killed while they print");
  await stage.kill();
  const away = delay(awayMs);
  for (const { id, pid } of printers)
    await eventually(`${id} ends`, async () => ((await isRunning(pid)) ? undefined : true), awayMs + 60_000);
  await away;
  const backAt = BigInt(Date.now()) * 1_000_000n;
  await stage.start();

  for (const { id, code } of printers) {
    const { exitStatus } = await within(`the exit of ${id}`, 30_000, stage.tasks.wait({ containerId: id }));
    assert.equal(exitStatus, code);
  }
  for (const { id } of printers) await stage.tasks.delete({ containerId: id });
  await within("the readers end with what they read", 30_000, Promise.all(readers));
  for (const printer of printers) await checkLines(printer);
  const facts = await stage.facts();
  for (const printer of printers) await checkExit(stage, facts, printer, backAt);
  for (const { id } of printers) await stage.containers.delete({ id });
  await stage.assertNothingLeft();
});

function printerOf(stage: Stage, index: number): Printer {
  const sink = sinks[index % sinks.length]!;
  const id = `p${index}`;
  const file = `${stage.directory}/${id}.log`;
  const stdout = sink === "fifo" ? `${stage.directory}/${id}.fifo` : `${sink}://${file}`;
  return { id, code: 10 + index, sink, stdout, file, pid: 0 };
}

/** Prints its lines chunk by chunk once /out/go is there; what it does last is to make a file whose time is that of its end. */
function scriptOf({ id, code }: Printer): string {
  const each = LINES / CHUNKS;
  const pause = ((awayMs * PRINTING_SHARE) / CHUNKS / 1_000).toFixed(3);
  return [
    "while [ ! -e /out/go ]; do sleep 0.05; done",
    "i=0",
    `while [ $i -lt ${CHUNKS} ]; do seq $((i * ${each} + 1)) $((i * ${each} + ${each})); i=$((i + 1)); sleep ${pause}; done`,
    `echo >/out/${id}.end`,
    `exit ${code}`,
  ].join("; ");
}

/** A client that has nothing to do with the daemon: it copies what comes out of the FIFO, to its end. */
function readFifo(t: TestContext, { stdout, file }: Printer): Promise<unknown> {
  makeFifo(stdout, 0o600);
  const child = spawn("sh", ["-c", 'exec cat "$0" >"$1"', stdout, file], { stdio: "ignore" });
  t.after(() => void child.kill("SIGKILL"));
  return once(child, "exit");
}

/** Every line once and in order, whatever the format. */
async function checkLines({ id, sink, file }: Printer): Promise<void> {
  const raw = (await readFile(file, "utf8")).split("\n");
  assert.equal(raw.pop(), "", `the last line of ${id} is whole`);
  assert.equal(raw.length, LINES, `${id} (${sink}) has every line once`);
  for (const [index, line] of raw.entries())
    assert.equal(textOf(sink, line), `${index + 1}`, `${id} (${sink}) is in order`);
}

function textOf(sink: Printer["sink"], line: string): string {
  switch (sink) {
    case "file":
    case "fifo":
      return line;
    case "json-file":
      return (JSON.parse(line) as { log: string }).log.trimEnd();
    case "cri":
      return /^\S+ stdout F (.*)$/.exec(line)?.[1] ?? line;
    default:
      return sink satisfies never;
  }
}

/** One fact, with the code and the time of the end itself. */
async function checkExit(stage: Stage, facts: readonly StagedFact[], printer: Printer, backAt: bigint): Promise<void> {
  const { id, code, pid } = printer;
  const exits = facts.filter(({ stream, type }) => stream === `task/${id}` && type === "TaskExited");
  assert.equal(exits.length, 1, `${id} has one exit`);
  const { status, known, exitedAt, pid: exitedPid } = exits[0]!.data;
  assert.deepEqual({ status, known, pid: exitedPid }, { status: code, known: true, pid });
  const endedAt = BigInt(Math.floor((await stat(stage.path(`${id}.end`))).mtimeMs)) * 1_000_000n;
  const [earliest, latest] = [endedAt - ms(FILE_CLOCK_BEHIND_MS), endedAt + ms(NOTICED_WITHIN_MS)];
  assert.ok(BigInt(exitedAt) >= earliest, `${id} ended at ${endedAt}, and its exit is of ${exitedAt}`);
  assert.ok(BigInt(exitedAt) <= latest, `${id} ended at ${endedAt}, and its exit is of ${exitedAt}`);
  assert.ok(BigInt(exitedAt) < backAt, `${id} ended before the daemon was back`);
}

const ms = (milliseconds: number): bigint => BigInt(milliseconds) * 1_000_000n;
