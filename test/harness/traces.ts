/** What a daemon has left on the machine: its shims, and mounts below its directories. */
import { execFile } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { promisify } from "node:util";

export interface Shim {
  readonly pid: number;
  readonly namespace: string;
  readonly id: string;
}

/** The running shims that were started with this daemon's address. */
export async function shimsOf(address: string): Promise<readonly Shim[]> {
  const shims: Shim[] = [];
  for (const entry of await readdir("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const args = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    const after = (flag: string) => args[args.indexOf(flag) + 1];
    if (
      !args.some((arg) => arg.includes("containerd-shim")) ||
      after("-address") !== address ||
      args.includes("delete")
    )
      continue;
    shims.push({ pid, namespace: after("-namespace") ?? "", id: after("-id") ?? "" });
  }
  return shims;
}

/** Mount points below a directory. */
export async function mountsBelow(directory: string): Promise<readonly string[]> {
  const mountinfo = await readFile("/proc/self/mountinfo", "utf8");
  const points = mountinfo.split("\n").map((line) => line.split(" ")[4] ?? "");
  return points.filter((point) => point.startsWith(`${directory}/`));
}

export async function unmount(point: string): Promise<void> {
  await promisify(execFile)("umount", ["-l", point]);
}

/** Kills the shims of this daemon and what still runs in their containers. */
export async function endShims(address: string): Promise<void> {
  for (const { pid } of await shimsOf(address)) {
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
    for (const each of [...children.trim().split(" ").filter(Boolean).map(Number), pid]) {
      try {
        process.kill(each, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
      await thaw(each);
    }
  }
}

/** What is paused dies of a signal only when it goes on, on cgroup v1. */
async function thaw(pid: number): Promise<void> {
  const groups = await readFile(`/proc/${pid}/cgroup`, "utf8").catch(() => "");
  const path = /^\d+:freezer:(\/.+)$/m.exec(groups)?.[1];
  if (path !== undefined) await writeFile(`/sys/fs/cgroup/freezer${path}/freezer.state`, "THAWED").catch(() => {});
}
