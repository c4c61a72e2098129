/**
 * Memory of everything that supervises 50 idle containers: shims, spares and daemon, in each grouping, beside the real containerd with a shim of Go for each container, and for
 * each sandbox. One daemon at a time, once each: memory hardly varies from run to run.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { TestDaemon } from "../harness/daemons.ts";
import type { Aim } from "./aim.ts";
import { Containers } from "./containers.ts";
import { onStage, type Stage } from "./stage.ts";
import { type Memory, memoryOf, shimPids, sparePids } from "./supervisors.ts";

/** SHIPLOG_BENCH_IDLE asks for fewer. */
const CONTAINERS = Number(process.env.SHIPLOG_BENCH_IDLE ?? 50);
/** A pod's pause container and what belongs to it. */
const SANDBOX_CONTAINERS = 5;
/** Shims of either kind give memory back every 30 seconds. */
const SETTLED_MS = 35_000;

interface Figures {
  readonly shims: Memory;
  readonly shimCount: number;
  readonly spares: Memory;
  readonly spareCount: number;
  readonly daemon: Memory;
}

/** `sandboxes`: the containers say which sandbox they belong to. */
async function measure(make: (stage: Stage) => Promise<TestDaemon>, sandboxes: boolean): Promise<Figures> {
  return onStage(async (stage) => {
    const daemon = await make(stage);
    const client = new Containers(stage, daemon);
    for (let number = 0; number < CONTAINERS; number++) {
      const sandbox = { "io.kubernetes.cri.sandbox-id": `sandbox-${Math.floor(number / SANDBOX_CONTAINERS)}` };
      await client.run(["sleep", "1000000"], { annotations: sandboxes ? sandbox : {} });
    }
    client.close();
    await delay(SETTLED_MS);
    const [shims, spares] = [await shimPids(daemon), await sparePids(daemon)];
    const memory = await memoryOf({ shims, spares, daemon: [daemon.pid] });
    return { ...memory, shimCount: shims.length, spareCount: spares.length };
  });
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

export async function benchIdleMemory(print: (line: string) => void): Promise<readonly Aim[]> {
  const go = await measure((stage) => stage.containerd(), false);
  const total = ({ shims, spares }: Figures) => shims.pss + spares.pss;
  const show = (name: string, figures: Figures) => {
    const { shims, shimCount, spares, spareCount, daemon } = figures;
    const waiting = spareCount === 0 ? "" : `, ${spareCount} spare ${megabytes(spares.pss)}`;
    print(
      `memory of ${CONTAINERS} idle containers, ${name}: ${shimCount} shims, PSS ${megabytes(shims.pss)} ` +
        `(USS ${megabytes(shims.uss)}; PSS as the kernel counts it ${megabytes(shims.kernelPss)}), ${megabytes(shims.pss / shimCount)} each${waiting}; ` +
        `daemon ${megabytes(daemon.pss)}; shims and spares / containerd's shims ${(total(figures) / total(go)).toFixed(2)} x`,
    );
  };
  show("containerd, a shim each", go);
  show(`containerd, sandboxes of ${SANDBOX_CONTAINERS}`, await measure((stage) => stage.containerd(), true));
  const aims: Aim[] = [];
  for (const [grouping, name, atMost] of [
    ["container", "a shim for each container", 4],
    ["sandbox", `sandboxes of ${SANDBOX_CONTAINERS}`, 0.5],
    ["namespace", "one shim for the namespace", 0.5],
  ] as const) {
    const figures = await measure((stage) => stage.shiplogd({ grouping }), grouping === "sandbox");
    show(`shiplog, ${name}`, figures);
    aims.push({ what: `memory, ${name}`, measured: total(figures) / total(go), unit: "x", bound: { atMost } });
  }
  return aims;
}

if (import.meta.main) await benchIdleMemory(console.log);
