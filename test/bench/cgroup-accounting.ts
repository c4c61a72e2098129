/**
 * Who pays for a flooded log: the CPU time on the account of a container that floods its log, and of a quiet one beside it, with the shims in their
 * containers' groups and without, and with the real containerd. Each container has a shim of its own.
 */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { cgroupOfProcess } from "../../src/shim/cgroup/mod.ts";
import type { TestDaemon } from "../harness/daemons.ts";
import { eventually } from "../harness/eventually.ts";
import { shimsOf } from "../harness/traces.ts";
import { Containers } from "./containers.ts";
import { Flood } from "./flood.ts";
import { onStage, type Stage } from "./stage.ts";
import { cpuSeconds, cpuSecondsWithChildren } from "./supervisors.ts";

/** Some 540 MB of output. */
const COPIES = 8;
const WRITTEN_MS_MAX = 120_000;
/** A log that has not grown for so long has all. */
const QUIET_MS = 500;

/** The account of the group that the process is in. */
async function accountOf(pid: number): Promise<() => Promise<number>> {
  const cgroup = cgroupOfProcess(pid);
  if (cgroup.version === 1) {
    const path = join(cgroup.directories.cpuacct!, "cpuacct.usage");
    return async () => Number(await readFile(path, "utf8")) / 1e9;
  }
  const path = join(cgroup.directory, "cpu.stat");
  return async () => Number(/^usage_usec (\d+)$/m.exec(await readFile(path, "utf8"))![1]) / 1e6;
}

/** CPU seconds, of the time in which the one container floods its log. */
interface Accounts {
  /** On the flooding container's account. */
  readonly flooding: number;
  readonly quiet: number;
  /** Used by the flooding container's processes. */
  readonly processes: number;
  /** Used by the flooding container's shim. */
  readonly shim: number;
}

async function measure(make: (stage: Stage) => Promise<TestDaemon>, scheme: "json-file" | "file"): Promise<Accounts> {
  return onStage(async (stage) => {
    const daemon = await make(stage);
    const client = new Containers(stage, daemon);
    const flood = await Flood.open(join(stage.directory, "flood"), COPIES);
    try {
      const path = (name: string) => join(stage.directory, `${name}.log`);
      const output = (name: string) => {
        const uri = `${scheme}://${path(name)}`;
        return { stdout: uri, stderr: uri };
      };
      const noisy = await client.run(flood.args, {
        directory: flood.directory,
        output: output("flooding"),
      });
      const calm = await client.run(["sleep", "1000000"], { output: output("quiet") });
      const shim = (await shimsOf(daemon.address)).find(({ id }) => id === noisy.id);
      if (shim === undefined) throw new Error("the flooding container has no shim of its own");
      const meters = {
        flooding: await accountOf(noisy.pid),
        quiet: await accountOf(calm.pid),
        processes: () => cpuSecondsWithChildren(noisy.pid),
        shim: () => cpuSeconds(shim.pid),
      };
      const read = async () =>
        Promise.all([meters.flooding(), meters.quiet(), meters.processes(), meters.shim()] as const);
      const before = await read();
      await flood.tell("begin");
      await unchanging(path("flooding"));
      const after = await read();
      const [flooding, quiet, processes, shimSeconds] = after.map((value, index) => value - before[index]!);
      return { flooding: flooding!, quiet: quiet!, processes: processes!, shim: shimSeconds! };
    } finally {
      await flood.close();
      client.close();
    }
  });
}

/** Until the file has not grown for a while. */
async function unchanging(path: string): Promise<void> {
  let [size, since] = [0, performance.now()];
  await eventually(
    `${path} has all`,
    async () => {
      const now = (await stat(path)).size;
      if (now !== size) [size, since] = [now, performance.now()];
      return size > 0 && performance.now() - since > QUIET_MS ? true : undefined;
    },
    WRITTEN_MS_MAX,
  );
}

export async function benchCgroupAccounting(print: (line: string) => void): Promise<void> {
  const seconds = (value: number) => `${value.toFixed(2)} s`;
  for (const [name, make, scheme] of [
    [
      'shiplog, cgroup = "container"',
      (stage: Stage) => stage.shiplogd({ grouping: "container", cgroup: "container" }),
      "json-file",
    ],
    [
      'shiplog, cgroup = "none"',
      (stage: Stage) => stage.shiplogd({ grouping: "container", cgroup: "none" }),
      "json-file",
    ],
    ["containerd", (stage: Stage) => stage.containerd(), "file"],
  ] as const) {
    const { flooding, quiet, processes, shim } = await measure(make, scheme);
    print(
      `CPU account of a container that floods its ${scheme} log, ${name}: ${seconds(flooding)}, where its processes used ${seconds(processes)} and its shim ${seconds(shim)}; ` +
        `so ${(Math.max(0, (flooding - processes) / shim) * 100).toFixed(0)} % of the shim's work is on it; a quiet container beside it ${seconds(quiet)}`,
    );
  }
}

if (import.meta.main) await benchCgroupAccounting(console.log);
