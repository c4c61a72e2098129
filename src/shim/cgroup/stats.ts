/** A container's counters, packed as Stats answers them. Owns the type names; which file means what is in stats-v1 and stats-v2. */
import { Metrics as MetricsV1 } from "../../wire/gen/containerd/cgroups/v1/metrics.ts";
import { Metrics as MetricsV2 } from "../../wire/gen/containerd/cgroups/v2/metrics.ts";
import type { CgroupOf } from "./location.ts";
import { readStatsV1 } from "./stats-v1.ts";
import { readStatsV2 } from "./stats-v2.ts";

/** The counters now, as type URL and bytes of an Any. @throws node:fs errors; a group that is gone has no parts or empty ones */
export async function collectStats(cgroup: CgroupOf): Promise<{ typeUrl: string; value: Uint8Array }> {
  return cgroup.version === 1
    ? { typeUrl: "io.containerd.cgroups.v1.Metrics", value: MetricsV1.encode(readStatsV1(cgroup)).finish() }
    : { typeUrl: "io.containerd.cgroups.v2.Metrics", value: MetricsV2.encode(readStatsV2(cgroup)).finish() };
}
