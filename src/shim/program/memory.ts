/** Keeping an idle shim small: after work is done, garbage and what the C library holds free go back to the kernel. */
import { returnFreeMemory } from "../../platform/mod.ts";

/** As containerd's shims do it. */
const everyMs = 30_000;
const firstMs = 2_000;

/** Less work than this since the last time leaves nothing worth collecting. */
const workMicrosecondsMin = 20_000;

/** Collects now and then for as long as the process lives, when it has worked since; keeps nothing alive. */
export function keepMemorySmall(): void {
  let last = 0;
  const collect = () => {
    const { user, system } = process.cpuUsage();
    if (user + system - last < workMicrosecondsMin) return;
    // Given by --expose-gc. A last-resort collection also lets go of code that is not in use.
    globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
    returnFreeMemory();
    const after = process.cpuUsage();
    last = after.user + after.system;
  };
  setTimeout(collect, firstMs).unref();
  setInterval(collect, everyMs).unref();
}
