/** What a container may use and what it has used, signals, pauses, and ends that are waited for. */
import { Metrics as MetricsV1 } from "../../../src/wire/gen/containerd/cgroups/v1/metrics.ts";
import { Metrics as MetricsV2 } from "../../../src/wire/gen/containerd/cgroups/v2/metrics.ts";
import type { Scene } from "./scene.ts";
import { act, plain, type ScriptStep, type Setting, shell, type Step } from "./step.ts";

const MIB = 1024 * 1024;
const resourcesType = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";
const updated = (id: string, json: string) =>
  act(`update ${id} to ${json}`, ({ tasks }) =>
    tasks.update({ containerId: id, resources: { typeUrl: resourcesType, value: Buffer.from(json) } }),
  );

/** Which parts there are, and the numbers that do not move. */
async function statsOf({ tasks }: Scene, id: string) {
  const { metrics } = await tasks.metrics({ filters: [`id==${id}`] });
  return metrics.map(({ id, data }) => {
    const { typeUrl = "", value = new Uint8Array() } = data ?? {};
    const decoded = typeUrl.includes(".v2.") ? MetricsV2.decode(value) : MetricsV1.decode(value);
    const { memory, pids } = decoded;
    const parts = Object.entries(decoded).filter(
      ([, part]) => part !== undefined && (!Array.isArray(part) || part.length > 0),
    );
    const limit = memory === undefined ? undefined : "usageLimit" in memory ? memory.usageLimit : memory.usage?.limit;
    return { id, type: typeUrl, parts: parts.map(([name]) => name), memoryLimit: limit, pids };
  });
}

const ended: ScriptStep = { command: ["tasks", "ls"], until: "STOPPED" };

/** Two who begin to wait now; what each is told is compared when it is asked for. */
const waitTwice = (id: string) =>
  act(`two begin to wait for ${id}`, ({ tasks, kept }) => {
    const waits = Promise.all([1, 2].map(() => tasks.wait({ containerId: id })));
    // Their failure is the later step's.
    waits.catch(() => {});
    kept.set(`waits for ${id}`, waits);
  });
const waitsTold = (id: string) => act(`what the two are told of ${id}`, ({ kept }) => kept.get(`waits for ${id}`));
const waited = (id: string, execId = "") =>
  act(`wait for ${[id, execId].join(" ")}`, ({ tasks }) => tasks.wait({ containerId: id, execId }));

export function resources({ image, directory, namespace }: Setting): readonly Step[] {
  const { name } = image;
  const task = (...args: readonly string[]) => plain("tasks", ...args);
  const group = (id: string, ...files: readonly string[]) =>
    shell(`cat ${files.map((file) => `/sys/fs/cgroup/{*/,}${namespace}/${id}/${file}`).join(" ")} 2>/dev/null; true`);
  const detached = (id: string, flags: readonly string[], line: string) =>
    plain("run", "--detach", ...flags, name, id, "sh", "-c", line);
  const log = (id: string) => ["--log-uri", `file://${directory}/${id}.log`];
  return [
    detached("worker", ["--memory-limit", String(64 * MIB), ...log("worker")], "sleep 1000 & echo ready; wait"),
    shell("until grep -q ready worker.log; do sleep 0.02; done"),
    act("stats of worker", (scene) => statsOf(scene, "worker")),
    updated(
      "worker",
      JSON.stringify({
        memory: { limit: 96 * MIB },
        pids: { limit: 40 },
        cpu: { shares: 256, quota: 20_000, period: 50_000 },
      }),
    ),
    group(
      "worker",
      "memory.limit_in_bytes",
      "pids.max",
      "cpu.shares",
      "cpu.cfs_quota_us",
      "cpu.cfs_period_us",
      "memory.max",
      "cpu.max",
      "cpu.weight",
    ),
    act("stats of worker", (scene) => statsOf(scene, "worker")),
    updated("worker", "{"),
    updated("worker", JSON.stringify({ memory: { limit: 4096 } })),
    updated("nothing", "{}"),
    group("worker", "memory.limit_in_bytes", "memory.max"),
    { ...task("ps", "worker"), unordered: true },
    task("pause", "worker"),
    task("ls"),
    act("stats of worker", (scene) => statsOf(scene, "worker")),
    updated("worker", JSON.stringify({ pids: { limit: 50 } })),
    task("exec", "--exec-id", "paused", "worker", "true"),
    waitTwice("worker"),
    task("kill", "--signal", "KILL", "worker"),
    waitsTold("worker"),
    ended,
    task("resume", "worker"),
    waited("worker"),
    act("stats of worker", (scene) => statsOf(scene, "worker")),
    task("exec", "--exec-id", "late", "worker", "true"),
    task("delete", "worker"),
    waited("worker"),
    plain("containers", "rm", "worker"),

    detached(
      "hungry",
      ["--memory-limit", String(24 * MIB), ...log("hungry")],
      "dd if=/dev/zero of=/dev/null bs=64M count=1; echo dd ended with $?; sleep 1000 & wait",
    ),
    shell("until grep -q 'dd ended' hungry.log; do sleep 0.02; done; sort hungry.log"),
    act("the kill for want of memory is told", (scene) => scene.told(/\/tasks\/oom .*"hungry"/)),
    task("ls"),
    task("delete", "--force", "hungry"),
    plain("containers", "rm", "hungry"),

    detached(
      "traps",
      log("traps"),
      "trap 'echo HUP' HUP; trap 'exit 12' USR2; sleep 1000 & echo ready; while :; do wait; done",
    ),
    shell("until grep -q ready traps.log; do sleep 0.02; done; ctr tasks kill --signal HUP traps"),
    shell("until grep -q HUP traps.log; do sleep 0.02; done"),
    waitTwice("traps"),
    act("an exec is added", ({ tasks }) =>
      tasks.exec({
        containerId: "traps",
        execId: "e",
        spec: {
          typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process",
          value: Buffer.from(
            JSON.stringify({ args: ["sleep", "1000"], cwd: "/", env: ["PATH=/bin"], user: { uid: 0, gid: 0 } }),
          ),
        },
      }),
    ),
    act("the exec is started", ({ tasks }) => tasks.start({ containerId: "traps", execId: "e" })),
    { ...task("ps", "traps"), unordered: true },
    act("the exec is killed", ({ tasks }) => tasks.kill({ containerId: "traps", execId: "e", signal: 15 })),
    waited("traps", "e"),
    act("the exec's end is told", (scene) => scene.told(/\/tasks\/exit .*"id":"e"/)),
    act("the exec is deleted", ({ tasks }) => tasks.deleteProcess({ containerId: "traps", execId: "e" })),
    task("kill", "--signal", "USR2", "traps"),
    waitsTold("traps"),
    ended,
    task("delete", "traps"),
    plain("containers", "rm", "traps"),
  ];
}
