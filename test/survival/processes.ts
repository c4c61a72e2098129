/** What the kernel says of processes: of a container's, and of a daemon's own. */
import { readdir, readFile, writeFile } from "node:fs/promises";

/** Any one hierarchy names a container's processes; every container is in this one. */
const CGROUPS = "/sys/fs/cgroup/pids";

/** Whether the process runs; one that has ended and is not reaped does not. */
export async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => undefined);
  return stat !== undefined && !/^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
}

/** Whether the process runs in the cgroup of container `id`. */
export async function runsIn(pid: number, namespace: string, id: string): Promise<boolean> {
  if (pid === 0 || !(await isRunning(pid))) return false;
  const groups = await readFile(`/proc/${pid}/cgroup`, "utf8").catch(() => "");
  return groups.split("\n").some((line) => line.endsWith(`/${namespace}/${id}`));
}

/** Every process in the cgroups of the namespace's containers, shims left out. */
export async function containerProcesses(namespace: string, ids?: readonly string[]): Promise<number[]> {
  const pids: number[] = [];
  for (const id of ids ?? (await readdir(`${CGROUPS}/${namespace}`).catch(() => []))) {
    const listed = await readFile(`${CGROUPS}/${namespace}/${id}/cgroup.procs`, "utf8").catch(() => "");
    for (const pid of listed.split("\n").filter(Boolean).map(Number)) {
      const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      if ((await isRunning(pid)) && !command.includes("containerd-shim")) pids.push(pid);
    }
  }
  return pids;
}

/** Lets paused containers of the namespace go on: with cgroups of version 1 nothing that is frozen can be killed. */
export async function thawContainers(namespace: string): Promise<void> {
  const freezer = `/sys/fs/cgroup/freezer/${namespace}`;
  for (const id of await readdir(freezer).catch(() => []))
    await writeFile(`${freezer}/${id}/freezer.state`, "THAWED").catch(() => {});
}

/** The daemon's children that wait to become shims. */
export async function sparesOf(daemonPid: number): Promise<number[]> {
  const children = await readFile(`/proc/${daemonPid}/task/${daemonPid}/children`, "utf8").catch(() => "");
  const spares: number[] = [];
  for (const pid of children.trim().split(" ").filter(Boolean).map(Number)) {
    const args = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    if (args.includes("spare")) spares.push(pid);
  }
  return spares;
}

export interface Footprint {
  readonly descriptors: number;
  /** Bytes. */
  readonly resident: number;
}

export async function footprintOf(pid: number): Promise<Footprint> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return {
    descriptors: (await readdir(`/proc/${pid}/fd`)).length,
    resident: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1024,
  };
}

export function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
