/** A container's counters, against what Debian's shim says of the same container (v1), and against files as the kernel writes them (v2). */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { cgroupOfProcess, collectStats } from "../../../src/shim/cgroup/mod.ts";
import { parseCgroups } from "../../../src/shim/cgroup/location.ts";
import { TtrpcClient } from "../../../src/shim/ttrpc/mod.ts";
import { readMountinfo } from "../../../src/platform/mod.ts";
import { Metrics as MetricsV1 } from "../../../src/wire/gen/containerd/cgroups/v1/metrics.ts";
import { Metrics as MetricsV2 } from "../../../src/wire/gen/containerd/cgroups/v2/metrics.ts";
import { TaskDefinition } from "../../../src/wire/gen/containerd/task/v2/shim.ts";
import { ctr } from "../../harness/ctr.ts";
import { containerd } from "../../harness/daemons.ts";
import { buildImage, imageName } from "../../harness/image.ts";
import { removeRuncTraces } from "../../harness/runc-traces.ts";
import { temporaryDirectory } from "../../harness/temporary.ts";
import { groupName, removeGroup } from "./container.ts";

const namespace = `shiplog-stats-${process.pid}`;
const group = groupName("stats");

after(async () => {
  await removeRuncTraces(namespace);
  await removeGroup(group);
});

type Tree = { readonly [key: string]: unknown };

/** Fails where `theirs` has a field that `ours` has not, or a number that is not between those before and after. */
function compare(path: string, before: unknown, theirs: unknown, ours: unknown): void {
  if (typeof theirs === "bigint") {
    // A counter moves one way; usage may go down, so what moved between is a bound either way.
    const [low, high] = [before, ours].map(BigInt as (value: unknown) => bigint).sort((a, b) => (a < b ? -1 : 1));
    const slack = high! - low! + 64n * 4096n * (path.startsWith(".memory") ? 1n : 0n);
    assert.ok(theirs >= low! - slack && theirs <= high! + slack, `${path}: ${before}, theirs ${theirs}, ${ours}`);
  } else if (typeof theirs === "object" && theirs !== null) {
    assert.ok(typeof ours === "object" && ours !== null, `${path} is there`);
    assert.deepEqual(Object.keys(ours), Object.keys(theirs), path);
    for (const [key, value] of Object.entries(theirs)) {
      compare(`${path}.${key}`, (before as Tree)[key], value, (ours as Tree)[key]);
    }
  } else {
    assert.equal(ours, theirs, path);
  }
}

test("the counters of a container on version 1 are those that Debian's shim tells", async (t) => {
  const directory = await temporaryDirectory(t);
  const daemon = await containerd();
  t.after(() => daemon.dispose());
  await daemon.start();
  const { archive } = await buildImage(directory);
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await ctr(daemon.address, namespace, args);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  await run("images", "import", archive);
  const work = "dd if=/dev/zero of=/work bs=1M count=8 conv=fsync 2>/dev/null; rm /work; sleep 600; true";
  const limits = ["--memory-limit", String(64 * 1024 * 1024), "--cpu-quota", "50000", "--cpu-period", "100000"];
  await run("run", "-d", ...limits, imageName, "one", "sh", "-c", work);
  const pid = Number(/^one\s+(\d+)/m.exec(await run("tasks", "ls"))![1]);
  const address = readFileSync(join(daemon.paths.state, "io.containerd.runtime.v2.task", namespace, "one", "address"));
  const client = await TtrpcClient.connect(address.toString());
  t.after(() => client.close());
  const cgroup = cgroupOfProcess(pid);
  const ours = async () => MetricsV1.decode((await collectStats(cgroup)).value);
  // dd has written and its file is gone: what is left moves little.
  while (readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim() === "") await ours();
  const before = await ours();
  const { stats } = await client.call(TaskDefinition, "stats", { id: "one" });
  const now = await collectStats(cgroup);
  assert.equal(stats!.typeUrl, now.typeUrl);
  const theirs = MetricsV1.decode(stats!.value);
  compare("", before, theirs, MetricsV1.decode(now.value));
  // Not a comparison of nothing with nothing.
  assert.ok(theirs.cpu!.usage!.total > 0n && theirs.memory!.usage!.limit === 64n * 1024n * 1024n);
  assert.ok(theirs.blkio !== undefined && theirs.pids!.current >= 1n);
  await run("tasks", "rm", "-f", "one");
  await run("containers", "rm", "one");
});

test("the counters of a group that is gone are told as none", async () => {
  const paths = { memory: `/sys/fs/cgroup/memory/${group}-gone` };
  const { value } = await collectStats({ version: 1, directories: paths });
  const { memory, pids, cpu } = MetricsV1.decode(value);
  assert.deepEqual([memory, pids, cpu?.usage?.total], [undefined, undefined, 0n]);
});

/** A group of version 2 with every controller, as Linux 6.1 to 6.18 write its files. */
const files: Readonly<Record<string, string>> = {
  "cpu.stat":
    "usage_usec 1\nuser_usec 2\nsystem_usec 3\nnice_usec 0\ncore_sched.force_idle_usec 0\nnr_periods 4\nnr_throttled 5\nthrottled_usec 6\nnr_bursts 7\nburst_usec 8\n",
  "cpu.pressure": "some avg10=1.50 avg60=0.25 avg300=0.00 total=9\nfull avg10=0.00 avg60=0.00 avg300=0.01 total=10\n",
  "memory.stat":
    "anon 11\nfile 12\nkernel 0\nkernel_stack 13\npagetables 0\nsock 14\nshmem 15\nfile_mapped 16\nanon_thp 17\nslab 18\nworkingset_refault_anon 19\nworkingset_refault_file 20\npgscan 21\npgscan_kswapd 0\npgfault 22\n",
  "memory.current": "23\n",
  "memory.max": "max\n",
  "memory.peak": "24\n",
  "memory.swap.current": "0\n",
  "memory.swap.max": "25\n",
  "memory.events": "low 0\nhigh 0\nmax 26\noom 27\noom_kill 28\noom_group_kill 29\n",
  "memory.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
  "pids.current": "30\n",
  "pids.max": "max\n",
  "io.stat":
    "254:0 rbytes=31 wbytes=32 rios=33 wios=34 dbytes=0 dios=0\n8:0\n8:16 rbytes=35 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n",
  "io.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=36\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=37\n",
  "rdma.current": "mlx4_0 hca_handle=38 hca_object=39\n",
  "rdma.max": "mlx4_0 hca_handle=40 hca_object=max\n",
  "hugetlb.2MB.current": "0\n",
  "hugetlb.2MB.max": "max\n",
  "hugetlb.2MB.events": "max 41\n",
  "hugetlb.2MB.events.local": "max 0\n",
};

test("every counter of a group of version 2 has its place", async (t) => {
  const directory = await temporaryDirectory(t);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  const { typeUrl, value } = await collectStats({ version: 2, directory });
  assert.equal(typeUrl, "io.containerd.cgroups.v2.Metrics");
  const max = 2n ** 64n - 1n;
  const quiet = { avg10: 0, avg60: 0, avg300: 0 };
  assert.deepEqual(
    MetricsV2.decode(value),
    MetricsV2.fromPartial({
      pids: { current: 30n, limit: max },
      cpu: {
        ...{ usageUsec: 1n, userUsec: 2n, systemUsec: 3n, nrPeriods: 4n, nrThrottled: 5n, throttledUsec: 6n },
        ...{ nrBursts: 7n, burstUsec: 8n },
        psi: {
          some: { avg10: 1.5, avg60: 0.25, avg300: 0, total: 9n },
          full: { avg10: 0, avg60: 0, avg300: 0.01, total: 10n },
        },
      },
      memory: {
        ...{ anon: 11n, file: 12n, kernelStack: 13n, sock: 14n, shmem: 15n, fileMapped: 16n, anonThp: 17n, slab: 18n },
        ...{ workingsetRefaultAnon: 19n, workingsetRefaultFile: 20n, pgscan: 21n, pgfault: 22n },
        ...{ usage: 23n, usageLimit: max, maxUsage: 24n, swapLimit: 25n },
        psi: { some: { ...quiet, total: 0n } },
      },
      memoryEvents: { max: 26n, oom: 27n, oomKill: 28n, oomGroupKill: 29n },
      io: {
        usage: [
          { major: 254n, minor: 0n, rbytes: 31n, wbytes: 32n, rios: 33n, wios: 34n },
          { major: 8n, minor: 16n, rbytes: 35n, wbytes: 0n, rios: 1n, wios: 0n },
        ],
        psi: { some: { ...quiet, total: 36n }, full: { ...quiet, total: 37n } },
      },
      rdma: {
        current: [{ device: "mlx4_0", hcaHandles: 38, hcaObjects: 39 }],
        limit: [{ device: "mlx4_0", hcaHandles: 40, hcaObjects: 0xffff_ffff }],
      },
      hugetlb: [{ current: 0n, max, pagesize: "2MB", failcnt: 41n }],
    }),
  );
});

test("a real group of version 2 without controllers tells its time and pressure", async () => {
  const directory = join(readMountinfo().find(({ type }) => type === "cgroup2")!.mountpoint, group);
  mkdirSync(directory);
  const { cpu, memoryEvents, memory } = MetricsV2.decode((await collectStats({ version: 2, directory })).value);
  rmdirSync(directory);
  assert.equal(cpu?.usageUsec, 0n);
  assert.equal(cpu?.psi?.some?.total, 0n);
  assert.equal(memoryEvents, undefined);
  assert.equal(memory?.usage, 0n);
});

test("a file that is not of its format is an error that says so", async (t) => {
  const directory = await temporaryDirectory(t);
  writeFileSync(join(directory, "cpu.stat"), "usage_usec many\n");
  await assert.rejects(collectStats({ version: 2, directory }), /not a number: 'many'/);
});

test("the groups of a process are read by controller, paths with colons too", () => {
  assert.deepEqual(
    [...parseCgroups("12:cpu,cpuacct:/a:b\n1:name=systemd:/c\n0::/d\n")],
    [
      ["cpu", "/a:b"],
      ["cpuacct", "/a:b"],
      ["name=systemd", "/c"],
      ["", "/d"],
    ],
  );
  assert.throws(() => parseCgroups("nonsense\n"), /not a cgroup/);
});
