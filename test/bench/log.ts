/** How fast the log takes facts durably and gives them back. Runs on the temporary directory's disk, which should not be tmpfs. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Log, type NewFact } from "../../src/events/mod.ts";

export interface LogFigures {
  /** By number of callers, each waiting for its append before the next. */
  readonly appends: readonly {
    readonly callers: number;
    readonly durablePerSecond: number;
    readonly medianMs: number;
    readonly p99Ms: number;
  }[];
  readonly replayFacts: number;
  readonly replayPerSecond: number;
  readonly openMs: number;
  readonly getMs: number;
}

/** About 230 bytes as a record, like most facts of a running daemon. */
function sampleFact(number: number): NewFact {
  return {
    time: 1_795_497_782_778_687_128n + BigInt(number),
    namespace: "default",
    stream: `task/container-${number % 1000}`,
    version: number,
    type: "TaskStarted",
    schema: 1,
    principal: { uid: 0, gid: 0, pid: 4711 },
    request: "6a8465cde8aafcd96f3e",
    data: {
      pid: 100_000 + number,
      shim: { pid: 4000 + number, socket: "/run/shiplog/s/0123456789abcdef" },
      startedAt: 1_795_497_782_778_687_128n,
    },
  };
}

function open(root: string): Promise<Log> {
  return Log.open({
    root,
    onFatal(error) {
      throw error;
    },
  });
}

async function appendFor(log: Log, callers: number, milliseconds: number): Promise<LogFigures["appends"][number]> {
  const latencies: number[] = [];
  const started = performance.now();
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (performance.now() - started < milliseconds) {
        const before = performance.now();
        await log.durable(log.append([sampleFact(latencies.length)]) + 1);
        latencies.push(performance.now() - before);
      }
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (share: number): number => latencies[Math.floor(latencies.length * share)]!;
  return { callers, durablePerSecond: latencies.length / seconds, medianMs: at(0.5), p99Ms: at(0.99) };
}

/** Measures for about ten seconds in a directory of its own, which it removes. */
export async function measureLog(replayFacts = 1_000_000): Promise<LogFigures> {
  const root = await mkdtemp(join(tmpdir(), "shiplog-bench-log-"));
  try {
    let log = await open(root);
    const appends: LogFigures["appends"][number][] = [];
    for (const callers of [1, 16, 256]) appends.push(await appendFor(log, callers, 1500));
    while (log.next < replayFacts) {
      await log.pressure();
      for (let batch = 0; batch < 1000; batch++) log.append([sampleFact(batch)]);
    }
    await log.durable(log.next);
    await log.close();

    let started = performance.now();
    log = await open(root);
    const openMs = performance.now() - started;

    started = performance.now();
    let facts = 0;
    for await (const batch of log.read({ from: 0 })) facts += batch.length;
    const replayPerSecond = facts / ((performance.now() - started) / 1000);

    const positions = Array.from({ length: 200 }, (_, index) => Math.floor((index * facts) / 200));
    for (const position of positions) await log.get(position);
    started = performance.now();
    for (const position of positions) await log.get(position);
    const getMs = (performance.now() - started) / positions.length;
    await log.close();
    return { appends, replayFacts: facts, replayPerSecond, openMs, getMs };
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** Measures and prints. */
export async function benchLog(print: (line: string) => void): Promise<void> {
  const { appends, replayFacts, replayPerSecond, openMs, getMs } = await measureLog();
  for (const { callers, durablePerSecond, medianMs, p99Ms } of appends) {
    const rate = Math.round(durablePerSecond).toLocaleString("en");
    print(
      `log, ${callers} callers: ${rate} durable facts/s, median ${medianMs.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms`,
    );
  }
  print(
    `log, replay of ${replayFacts.toLocaleString("en")} facts: ${Math.round(replayPerSecond).toLocaleString("en")} facts/s`,
  );
  print(`log, open: ${openMs.toFixed(1)} ms; one fact by position: ${getMs.toFixed(2)} ms`);
}

if (import.meta.main) await benchLog(console.log);
