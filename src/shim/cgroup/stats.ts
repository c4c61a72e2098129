/** A container's counters, packed as Stats answers them. Owns the type names; which file means what is in stats-v1 and stats-v2. */
import type { CgroupOf } from "./location.ts";

/** The counters now, as type URL and bytes of an Any. @throws node:fs errors; a group that is gone has no parts or empty ones */
export async function collectStats(cgroup: CgroupOf): Promise<{ typeUrl: string; value: Uint8Array }> {
  // Loaded at the first call: they are large, and a shim's start would wait for both.
  if (cgroup.version === 1) {
    const { Metrics } = await import("../../wire/gen/containerd/cgroups/v1/metrics.ts");
    const { readStatsV1 } = await import("./stats-v1.ts");
    return { typeUrl: "io.containerd.cgroups.v1.Metrics", value: Metrics.encode(readStatsV1(cgroup)).finish() };
  }
  const { Metrics } = await import("../../wire/gen/containerd/cgroups/v2/metrics.ts");
  const { readStatsV2 } = await import("./stats-v2.ts");
  return { typeUrl: "io.containerd.cgroups.v2.Metrics", value: Metrics.encode(readStatsV2(cgroup)).finish() };
}
