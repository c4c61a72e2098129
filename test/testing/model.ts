/**
 * More of the model than the tests hold against the runtimes: `npm run model -- --runs 20000`.
 *
 *     --runs N         sequences (2000)
 *     --seed N         their random numbers
 *     --kind KIND      records, tasks or faults (records)
 *     --on RUNTIMES    shiplog, containerd, or both (both; faults: shiplog)
 *     --address PATH   instead of those, the runtime behind this socket
 *     --rootfs PATH    where its containers can run, for tasks
 *     --script PATH    instead of random sequences, what is written there
 */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import {
  check,
  commandTypes,
  connect,
  type Endpoint,
  faultSequences,
  readScript,
  runTogether,
  sequences,
  taskSequences,
} from "../../src/testing/mod.ts";
import { rootfs, runtime } from "./daemons.ts";

const kinds = { records: sequences, tasks: taskSequences, faults: faultSequences };

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "2000" },
    seed: { type: "string" },
    kind: { type: "string", default: "records" },
    on: { type: "string" },
    address: { type: "string" },
    rootfs: { type: "string" },
    script: { type: "string" },
  },
});

const ends: (() => Promise<unknown> | unknown)[] = [];
const owner = { after: (end: () => Promise<unknown> | unknown) => void ends.unshift(end) };

async function endpoints(): Promise<readonly Endpoint[]> {
  const { address, kind } = values;
  if (address !== undefined) {
    const endpoint = await connect({ address, ...(values.rootfs !== undefined && { rootfs: values.rootfs }) });
    owner.after(() => endpoint.close());
    return [endpoint];
  }
  const on = values.on ?? (kind === "faults" ? "shiplog" : "both");
  const names = (["shiplog", "containerd"] as const).filter((name) => on === "both" || on === name);
  if (names.length === 0) throw new Error(`--on is shiplog, containerd or both, not ${on}`);
  const directory = await rootfs(owner);
  const options = { rootfs: directory, withFaults: kind === "faults", inMemory: kind === "records" };
  return Promise.all(names.map(async (name) => (await runtime(owner, name, options)).endpoint));
}

async function main(): Promise<void> {
  const { runs, seed, kind, script } = values;
  if (!Object.hasOwn(kinds, kind)) throw new Error(`--kind is ${Object.keys(kinds).join(", ")}, not ${kind}`);
  const all = await endpoints();
  if (script !== undefined) {
    const commands = readScript(await readFile(script, "utf8"), commandTypes);
    await runTogether(commands, all);
    console.log(`${commands.length} commands as the model says, on ${all.map(({ name }) => name).join(" and ")}`);
    return;
  }
  const since = performance.now();
  const { taken: _, ...report } = await check({
    endpoints: all,
    runs: Number(runs),
    ...(seed !== undefined && { seed: Number(seed) }),
    sequences: kinds[kind as keyof typeof kinds](),
  });
  const perMinute = Math.round((report.sequences * 60_000) / (performance.now() - since));
  console.log({ on: all.map(({ name }) => name), ...report, perMinute });
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  for (const end of ends) await end();
}
