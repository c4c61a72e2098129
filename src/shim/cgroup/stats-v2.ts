/**
 * A container's counters on cgroup v2, as the message that containerd's shim answers Stats with.
 *
 * Owns which file becomes which field (containerd/cgroups v3: cgroup2/manager.go, cgroup2/utils.go; fields that version 1.0
 * does not have are extra to its clients). Parts whose controller is not enabled are there and empty, as containerd's are.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type {
  HugeTlbStat,
  IOEntry,
  MemoryStat,
  Metrics,
  PSIData,
  PSIStats,
} from "../../wire/gen/containerd/cgroups/v2/metrics.ts";
import { Counters, parseCount, parseRdma, readCount, readCounterFile, readCounters } from "./counter-file.ts";
import type { CgroupV2 } from "./location.ts";

/** @throws node:fs errors, and Error for a file that is not of its format */
export function readStatsV2({ directory }: CgroupV2): Metrics {
  const file = (name: string) => join(directory, name);
  const cpu = readCounters(file("cpu.stat")) ?? new Counters("");
  const events = readCounters(file("memory.events"));
  return {
    pids: { current: readCount(file("pids.current")), limit: readCount(file("pids.max")) },
    cpu: {
      usageUsec: cpu.get("usage_usec"),
      userUsec: cpu.get("user_usec"),
      systemUsec: cpu.get("system_usec"),
      nrPeriods: cpu.get("nr_periods"),
      nrThrottled: cpu.get("nr_throttled"),
      throttledUsec: cpu.get("throttled_usec"),
      psi: readPressure(file("cpu.pressure")),
      nrBursts: cpu.get("nr_bursts"),
      burstUsec: cpu.get("burst_usec"),
    },
    memory: readMemory(directory),
    rdma: {
      current: parseRdma(readCounterFile(file("rdma.current")) ?? ""),
      limit: parseRdma(readCounterFile(file("rdma.max")) ?? ""),
    },
    io: { usage: parseIo(readCounterFile(file("io.stat")) ?? ""), psi: readPressure(file("io.pressure")) },
    hugetlb: readHugetlb(directory),
    memoryEvents: events && {
      low: events.get("low"),
      high: events.get("high"),
      max: events.get("max"),
      oom: events.get("oom"),
      oomKill: events.get("oom_kill"),
      oomGroupKill: events.get("oom_group_kill"),
    },
    network: [],
  };
}

function readMemory(directory: string): MemoryStat {
  const stat = readCounters(join(directory, "memory.stat")) ?? new Counters("");
  return {
    anon: stat.get("anon"),
    file: stat.get("file"),
    kernelStack: stat.get("kernel_stack"),
    slab: stat.get("slab"),
    sock: stat.get("sock"),
    shmem: stat.get("shmem"),
    fileMapped: stat.get("file_mapped"),
    fileDirty: stat.get("file_dirty"),
    fileWriteback: stat.get("file_writeback"),
    anonThp: stat.get("anon_thp"),
    inactiveAnon: stat.get("inactive_anon"),
    activeAnon: stat.get("active_anon"),
    inactiveFile: stat.get("inactive_file"),
    activeFile: stat.get("active_file"),
    unevictable: stat.get("unevictable"),
    slabReclaimable: stat.get("slab_reclaimable"),
    slabUnreclaimable: stat.get("slab_unreclaimable"),
    pgfault: stat.get("pgfault"),
    pgmajfault: stat.get("pgmajfault"),
    workingsetRefault: stat.get("workingset_refault"),
    workingsetActivate: stat.get("workingset_activate"),
    workingsetNodereclaim: stat.get("workingset_nodereclaim"),
    pgrefill: stat.get("pgrefill"),
    pgscan: stat.get("pgscan"),
    pgsteal: stat.get("pgsteal"),
    pgactivate: stat.get("pgactivate"),
    pgdeactivate: stat.get("pgdeactivate"),
    pglazyfree: stat.get("pglazyfree"),
    pglazyfreed: stat.get("pglazyfreed"),
    thpFaultAlloc: stat.get("thp_fault_alloc"),
    thpCollapseAlloc: stat.get("thp_collapse_alloc"),
    usage: readCount(join(directory, "memory.current")),
    usageLimit: readCount(join(directory, "memory.max")),
    swapUsage: readCount(join(directory, "memory.swap.current")),
    swapLimit: readCount(join(directory, "memory.swap.max")),
    maxUsage: readCount(join(directory, "memory.peak")),
    swapMaxUsage: readCount(join(directory, "memory.swap.peak")),
    psi: readPressure(join(directory, "memory.pressure")),
    workingsetRefaultAnon: stat.get("workingset_refault_anon"),
    workingsetRefaultFile: stat.get("workingset_refault_file"),
    workingsetActivateAnon: stat.get("workingset_activate_anon"),
    workingsetActivateFile: stat.get("workingset_activate_file"),
  };
}

/** Lines `254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`; a device without counters has its number alone. */
function parseIo(text: string): IOEntry[] {
  return [...text.matchAll(/^(\d+):(\d+) (\S+=.*)$/gm)].map(([, major, minor, counts]) => {
    const values = new Map([...counts!.matchAll(/(\w+)=(\d+)/g)].map(([, key, value]) => [key, BigInt(value!)]));
    const [rbytes = 0n, wbytes = 0n, rios = 0n, wios = 0n] = ["rbytes", "wbytes", "rios", "wios"].map((key) =>
      values.get(key),
    );
    return { major: BigInt(major!), minor: BigInt(minor!), rbytes, wbytes, rios, wios };
  });
}

/** Lines `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`; the kernel may leave `full` out. */
function readPressure(path: string): PSIStats | undefined {
  const text = readCounterFile(path);
  if (text === undefined) return undefined;
  const line = (kind: string): PSIData | undefined => {
    const fields = new RegExp(`^${kind} avg10=(\\S+) avg60=(\\S+) avg300=(\\S+) total=(\\d+)$`, "m").exec(text);
    if (fields === null) return undefined;
    const [, avg10, avg60, avg300, total] = fields;
    return { avg10: Number(avg10), avg60: Number(avg60), avg300: Number(avg300), total: parseCount(total!) };
  };
  return { some: line("some"), full: line("full") };
}

function readHugetlb(directory: string): HugeTlbStat[] {
  const sizes = readdirSync(directory).flatMap((name) => /^hugetlb\.([^.]+)\.current$/.exec(name)?.[1] ?? []);
  return sizes.sort().map((pagesize) => {
    const file = (name: string) => join(directory, `hugetlb.${pagesize}.${name}`);
    const failcnt = readCounters(file("events"))?.get("max") ?? 0n;
    return { current: readCount(file("current")), max: readCount(file("max")), pagesize, failcnt };
  });
}
