/** `ctr` cannot tell shiplogd from containerd: one script of commands against both, compared call by call and event by event. */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { containerd, shiplogdWithoutCollection, type TestDaemon } from "../harness/daemons.ts";
import { ctr, CtrEvents } from "../harness/ctr.ts";
import { removeRuncTraces } from "../harness/runc-traces.ts";
import { eventually } from "../harness/eventually.ts";
import { buildImage, imageName } from "../harness/image.ts";
import { temporaryDirectory } from "../harness/temporary.ts";
import { type ScriptImage, type ScriptStep, script } from "./script.ts";

/** Of this run alone: runc keeps the states of all daemons in one place, by namespace. */
const namespace = `script-${process.pid}`;

test("ctr's commands give the same exit codes, output and events on shiplogd as on containerd", async (t) => {
  const directory = await temporaryDirectory(t);
  t.after(() => removeRuncTraces(namespace));
  const built = await buildImage(directory);
  const runs: Run[] = [];
  for (const make of [containerd, shiplogdWithoutCollection]) {
    const daemon = await make();
    t.after(() => daemon.dispose());
    await daemon.start();
    const fifos = join(daemon.paths.directory, "fifos");
    await mkdir(fifos);
    const image = {
      name: imageName,
      archive: built.archive,
      manifest: built.manifest,
      layer: built.layers[0]!,
      fifos,
      namespace,
    };
    runs.push(await runScript(daemon, image));
  }
  const [reference, ours] = runs as [Run, Run];
  for (const [index, expected] of reference.calls.entries()) {
    await t.test(expected.command, () => assert.deepEqual(ours.calls[index], expected));
  }
  await t.test("ctr events", () => assert.deepEqual(ours.events, reference.events));
  t.diagnostic(`${reference.calls.length} calls and ${reference.events.length} events compared`);
});

interface Run {
  readonly calls: readonly {
    readonly command: string;
    readonly code: number;
    readonly output: readonly string[];
    readonly errors: readonly string[];
  }[];
  readonly events: readonly string[];
}

async function runScript(daemon: TestDaemon, image: ScriptImage): Promise<Run> {
  const events = await CtrEvents.start(daemon.address);
  const calls = [];
  const tidy = (text: string) => normalize(text, daemon);
  for (const step of script(image)) {
    const { code, stdout, stderr } = await call(daemon, step);
    const lines = (text: string) => {
      const left = tidy(text)
        .split("\n")
        .filter((line) => line !== "" && !step.differs?.lines.test(line));
      return step.unordered ? left.sort() : left;
    };
    calls.push({ command: tidy(step.args.join(" ")), code, output: lines(stdout), errors: lines(stderr) });
  }
  return { calls, events: (await events.end(daemon.address)).map(tidy) };
}

function call(daemon: TestDaemon, step: ScriptStep) {
  const ask = () => ctr(daemon.address, namespace, step.args);
  const { until } = step;
  if (until === undefined) return ask();
  return eventually(`${step.args.join(" ")} shows ${until}`, async () => {
    const result = await ask();
    return result.stdout.includes(until) ? result : undefined;
  });
}

/** Takes out what cannot be equal: times, ages, process ids, random keys, measured values, and each daemon's own paths. */
function normalize(text: string, { paths }: TestDaemon): string {
  return (
    text
      .replaceAll(paths.directory, "DIRECTORY")
      .replaceAll(namespace, "NAMESPACE")
      // 1.6 publishes what befalls a namespace in the caller's namespace; shiplog in the one concerned, as 1.7 and later do.
      .replace(/^(\S+ \+0000 UTC|\S+ \S+ \+0000 UTC) \S+ (\/namespaces\/)/gm, "$1 CALLER $2")
      // 1.6 and 1.7 let their database's own name of a snapshot show in messages.
      .replace(/(failed to commit snapshot) NAMESPACE\/\d+\/\S+:/g, "$1:")
      .replace(/"NAMESPACE\/\d+\//g, '"')
      .replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?\+0000 UTC|Z)?/g, "TIME")
      .replace(/\d+(\.\d+)? (milli|micro)?seconds?|Less than a second|About a minute/g, "AGE")
      .replace(/"seconds":\d+(,"nanos":\d+)?|seconds:\d+( +nanos:\d+)?/g, "TIMESTAMP")
      .replace(/elapsed: [\d.]+ ?m?s.*/g, "elapsed")
      .replace(/extract-\d+-\S+/g, "extract-RANDOM")
      .replace(/"pid":\d+/g, '"pid":PID')
      .replace(/^((?:\S+ +)?)\d+( +(?:RUNNING|STOPPED|PAUSED|CREATED|-))/gm, "$1PID$2")
      .replace(/snapshots\/\w+(?=[/"])/g, "snapshots/ID")
      .replace(/^((?:memory|cpuacct|pids)\.\S+ +).*$/gm, "$1VALUE")
      .replace(/fifos\/\d+\//g, "fifos/RANDOM/")
      .replace(/[^\s,]+=[^\s,]+(?:,[^\s,]+=[^\s,]+)+/g, (labels) => labels.split(",").sort().join(","))
      .replace(/^(id|ID) +TIMESTAMP.*/gm, "$1 METRICS")
      .replace(/ {2,}/g, "  ")
      .replace(/ +$/gm, "")
      .trimEnd()
  );
}
