/** `ctr run --rm` beside the real containerd: the two in turn, so that both see the same machine, and the ratio of each pair. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeRuncTraces } from "../harness/runc-traces.ts";
import { ctr } from "../harness/ctr.ts";
import { containerd, shiplogd, type TestDaemon } from "../harness/daemons.ts";
import { buildImage, imageName } from "../harness/image.ts";
import { median } from "./median.ts";

const PAIRS = 20;
const WARM_UP_PAIRS = 2;
const namespace = "bench";

async function runOnce(daemon: TestDaemon, id: string): Promise<number> {
  const started = performance.now();
  const { code, stderr } = await ctr(daemon.address, namespace, ["run", "--rm", imageName, id, "echo", "hello"]);
  if (code !== 0) throw new Error(`ctr run on ${daemon.name}: ${stderr}`);
  return performance.now() - started;
}

export async function benchRun(print: (line: string) => void): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "shiplog-bench-"));
  const image = await buildImage(directory);
  const daemons = [await shiplogd(["--log-level", "warn"]), await containerd()] as const;
  const times: [ours: number, theirs: number][] = [];
  try {
    for (const daemon of daemons) {
      await daemon.start();
      await ctr(daemon.address, namespace, ["images", "import", image.archive]);
    }
    const [ours, theirs] = daemons;
    for (let pair = 0; pair < WARM_UP_PAIRS + PAIRS; pair += 1) {
      const id = `r${pair}`;
      const swapped = pair % 2 === 1;
      const first = await runOnce(swapped ? theirs : ours, id);
      const second = await runOnce(swapped ? ours : theirs, id);
      if (pair >= WARM_UP_PAIRS) times.push(swapped ? [second, first] : [first, second]);
    }
  } finally {
    for (const daemon of daemons) await daemon.dispose();
    await removeRuncTraces(namespace);
    await rm(directory, { recursive: true, force: true });
  }
  const ms = (values: number[]) => `${median(values).toFixed(0)} ms`;
  const ratio = median(times.map(([ours, theirs]) => ours / theirs)).toFixed(2);
  print(
    `ctr run --rm, median of ${PAIRS} pairs: shiplogd ${ms(times.map(([ours]) => ours))}, containerd ${ms(times.map(([, theirs]) => theirs))}, ratio ${ratio}`,
  );
}

if (import.meta.main) await benchRun(console.log);
