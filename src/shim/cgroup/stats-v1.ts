/**
 * A container's counters on cgroup v1, as the message that containerd's shim answers Stats with.
 *
 * Owns which file becomes which field (containerd/cgroups v1.0.4: cpu.go, cpuacct.go, memory.go, blkio.go, pids.go,
 * hugetlb.go, rdma.go). What the kernel does not have is left out, each file by itself.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type {
  BlkIOEntry,
  BlkIOStat,
  HugetlbStat,
  MemoryEntry,
  MemoryStat,
  Metrics,
  RdmaStat,
} from "../../wire/gen/containerd/cgroups/v1/metrics.ts";
import { Counters, noLimit, parseCount, parseRdma, readCount, readCounterFile, readCounters } from "./counter-file.ts";
import type { CgroupV1 } from "./location.ts";

/** USER_HZ, in which the kernel tells user and system time: 100 on every architecture that Node runs on. */
const nanosecondsPerTick = 10_000_000n;

/** @throws node:fs errors, and Error for a file that is not of its format */
export function readStatsV1({ directories }: CgroupV1): Metrics {
  const memory = directories.memory;
  const oomControl = memory === undefined ? undefined : readCounters(join(memory, "memory.oom_control"));
  return {
    hugetlb: readHugetlb(directories.hugetlb),
    pids: readPids(directories.pids),
    cpu: readCpu(directories.cpu, directories.cpuacct),
    memory: readMemory(memory),
    blkio: readBlkio(directories.blkio),
    rdma: readRdma(directories.rdma),
    network: [],
    cgroupStats: undefined,
    memoryOomControl: oomControl && {
      oomKillDisable: oomControl.get("oom_kill_disable"),
      underOom: oomControl.get("under_oom"),
      oomKill: oomControl.get("oom_kill"),
    },
  };
}

function readCpu(cpu: string | undefined, cpuacct: string | undefined): Metrics["cpu"] {
  const throttled = (cpu === undefined ? undefined : readCounters(join(cpu, "cpu.stat"))) ?? new Counters("");
  const stat = (cpuacct === undefined ? undefined : readCounters(join(cpuacct, "cpuacct.stat"))) ?? new Counters("");
  const perCpu = (cpuacct && readCounterFile(join(cpuacct, "cpuacct.usage_percpu"))) ?? "";
  return {
    usage: {
      total: cpuacct === undefined ? 0n : readCount(join(cpuacct, "cpuacct.usage")),
      kernel: stat.get("system") * nanosecondsPerTick,
      user: stat.get("user") * nanosecondsPerTick,
      perCpu: perCpu
        .split(/\s+/)
        .filter((count) => count !== "")
        .map(parseCount),
    },
    throttling: {
      periods: throttled.get("nr_periods"),
      throttledPeriods: throttled.get("nr_throttled"),
      throttledTime: throttled.get("throttled_time"),
    },
  };
}

function readPids(directory: string | undefined): Metrics["pids"] {
  if (directory === undefined || !existsSync(directory)) return undefined;
  const limit = readCount(join(directory, "pids.max"));
  return { current: readCount(join(directory, "pids.current")), limit: limit === noLimit ? 0n : limit };
}

function readMemory(directory: string | undefined): MemoryStat | undefined {
  const stat = directory === undefined ? undefined : readCounters(join(directory, "memory.stat"));
  if (directory === undefined || stat === undefined) return undefined;
  const entry = (prefix: string): MemoryEntry => ({
    limit: readCount(join(directory, `${prefix}.limit_in_bytes`)),
    usage: readCount(join(directory, `${prefix}.usage_in_bytes`)),
    max: readCount(join(directory, `${prefix}.max_usage_in_bytes`)),
    failcnt: readCount(join(directory, `${prefix}.failcnt`)),
  });
  return {
    cache: stat.get("cache"),
    rss: stat.get("rss"),
    rssHuge: stat.get("rss_huge"),
    mappedFile: stat.get("mapped_file"),
    dirty: stat.get("dirty"),
    writeback: stat.get("writeback"),
    pgPgIn: stat.get("pgpgin"),
    pgPgOut: stat.get("pgpgout"),
    pgFault: stat.get("pgfault"),
    pgMajFault: stat.get("pgmajfault"),
    inactiveAnon: stat.get("inactive_anon"),
    activeAnon: stat.get("active_anon"),
    inactiveFile: stat.get("inactive_file"),
    activeFile: stat.get("active_file"),
    unevictable: stat.get("unevictable"),
    hierarchicalMemoryLimit: stat.get("hierarchical_memory_limit"),
    hierarchicalSwapLimit: stat.get("hierarchical_memsw_limit"),
    totalCache: stat.get("total_cache"),
    totalRss: stat.get("total_rss"),
    totalRssHuge: stat.get("total_rss_huge"),
    totalMappedFile: stat.get("total_mapped_file"),
    totalDirty: stat.get("total_dirty"),
    totalWriteback: stat.get("total_writeback"),
    totalPgPgIn: stat.get("total_pgpgin"),
    totalPgPgOut: stat.get("total_pgpgout"),
    totalPgFault: stat.get("total_pgfault"),
    totalPgMajFault: stat.get("total_pgmajfault"),
    totalInactiveAnon: stat.get("total_inactive_anon"),
    totalActiveAnon: stat.get("total_active_anon"),
    totalInactiveFile: stat.get("total_inactive_file"),
    totalActiveFile: stat.get("total_active_file"),
    totalUnevictable: stat.get("total_unevictable"),
    usage: entry("memory"),
    swap: entry("memory.memsw"),
    kernel: entry("memory.kmem"),
    kernelTcp: entry("memory.kmem.tcp"),
  };
}

/** The counters of the old CFQ scheduler where a kernel has them and they count something, else those of throttling. */
function readBlkio(directory: string | undefined): BlkIOStat | undefined {
  if (directory === undefined || !existsSync(directory)) return undefined;
  const devices = readDevices();
  const read = (name: string) => parseBlkio(readCounterFile(join(directory, `blkio.${name}`)) ?? "", devices);
  const cfq: BlkIOStat = {
    ioServiceBytesRecursive: read("io_service_bytes_recursive"),
    ioServicedRecursive: read("io_serviced_recursive"),
    ioQueuedRecursive: read("io_queued_recursive"),
    ioServiceTimeRecursive: read("io_service_time_recursive"),
    ioWaitTimeRecursive: read("io_wait_time_recursive"),
    ioMergedRecursive: read("io_merged_recursive"),
    ioTimeRecursive: read("time_recursive"),
    sectorsRecursive: read("sectors_recursive"),
  };
  if (Object.values(cfq).some((entries) => entries.length > 0)) return cfq;
  return {
    ...cfq,
    ioServicedRecursive: read("throttle.io_serviced"),
    ioServiceBytesRecursive: read("throttle.io_service_bytes"),
  };
}

/** Lines `254:0 Read 12`, or `254:0 12` where operations are not told apart; the last line `Total 12` is of no device. */
function parseBlkio(text: string, devices: ReadonlyMap<string, string>): BlkIOEntry[] {
  return [...text.matchAll(/^(\d+):(\d+) (?:(\w+) )?(\d+)$/gm)].map(([, major, minor, op, value]) => ({
    op: op ?? "",
    device: devices.get(`${major}:${minor}`) ?? "",
    major: BigInt(major!),
    minor: BigInt(minor!),
    value: BigInt(value!),
  }));
}

/** Names under /dev by `major:minor`; the first of several. */
function readDevices(): Map<string, string> {
  const devices = new Map<string, string>();
  const text = readCounterFile("/proc/partitions") ?? "";
  for (const [, major, minor, name] of text.matchAll(/^\s*(\d+)\s+(\d+)\s+\d+\s+(\S+)$/gm)) {
    const number = `${major}:${minor}`;
    if (!devices.has(number)) devices.set(number, `/dev/${name}`);
  }
  return devices;
}

function readHugetlb(directory: string | undefined): HugetlbStat[] {
  if (directory === undefined || !existsSync(directory)) return [];
  const sizes = readdirSync(directory).flatMap((name) => /^hugetlb\.([^.]+)\.usage_in_bytes$/.exec(name)?.[1] ?? []);
  return sizes.sort().map((pagesize) => {
    const read = (file: string) => readCount(join(directory, `hugetlb.${pagesize}.${file}`));
    return { usage: read("usage_in_bytes"), max: read("max_usage_in_bytes"), failcnt: read("failcnt"), pagesize };
  });
}

function readRdma(directory: string | undefined): RdmaStat | undefined {
  const current = directory && readCounterFile(join(directory, "rdma.current"));
  if (directory === undefined || current === undefined) return undefined;
  return { current: parseRdma(current), limit: parseRdma(readCounterFile(join(directory, "rdma.max")) ?? "") };
}
