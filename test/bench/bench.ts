/**
 * Every benchmark in turn, or those whose names are given: `npm run bench -- run exec`. Figures are printed, never asserted: a machine's speed is no
 * property of the code. What was aimed at comes at the end. SHIPLOG_BENCH_ROUNDS=3 is a quick look, SHIPLOG_BENCH_IDLE=10 one with fewer idle containers.
 */
import { readFileSync } from "node:fs";
import { cpus, loadavg, release } from "node:os";
import { type Aim, aimLines } from "./aim.ts";
import { benchCgroupAccounting } from "./cgroup-accounting.ts";
import { benchContainerLogs } from "./container-logs.ts";
import { benchCreateStart } from "./create-start.ts";
import { benchDiff } from "./diff.ts";
import { benchExec } from "./exec.ts";
import { benchIdleMemory } from "./idle-memory.ts";
import { benchLedger } from "./ledger.ts";
import { benchLogPaths } from "./log-paths.ts";
import { benchLog } from "./log.ts";
import { benchQueries } from "./queries.ts";
import { benchRun } from "./run.ts";
import { benchServices } from "./services.ts";

type Print = (line: string) => void;

const parts: Readonly<Record<string, (print: Print) => Promise<readonly Aim[] | void>>> = {
  log: benchLog,
  ledger: benchLedger,
  run: benchRun,
  "create-start": benchCreateStart,
  exec: benchExec,
  services: benchServices,
  queries: benchQueries,
  diff: benchDiff,
  "container-logs": benchContainerLogs,
  "log-paths": benchLogPaths,
  "idle-memory": benchIdleMemory,
  "cgroup-accounting": benchCgroupAccounting,
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !Object.hasOwn(parts, name));
if (unknown.length > 0) {
  console.error(`no benchmark ${unknown.join(", ")}; there are ${Object.keys(parts).join(", ")}`);
  process.exit(2);
}

const load = () => loadavg()[0]!.toFixed(2);
const memory = Number(/MemTotal: +(\d+)/.exec(readFileSync("/proc/meminfo", "utf8"))![1]) / 1e6;
const machine = `${cpus().length} x ${cpus()[0]!.model}, ${memory.toFixed(0)} GB, Linux ${release()}, Node ${process.version}`;
console.log(`machine: ${machine}; load ${load()}`);

const aims: Aim[] = [];
for (const name of asked.length > 0 ? asked : Object.keys(parts)) {
  try {
    aims.push(...((await parts[name]!(console.log)) ?? []));
  } catch (error) {
    process.exitCode = 1;
    console.error(`the benchmark ${name} failed:`, error);
  }
}
console.log(`load at the end ${load()}`);
if (aims.length > 0) for (const line of aimLines(aims)) console.log(line);
