/**
 * What a daemon that was ended in the middle of its work leaves of the benchmark's namespace besides what its own directories hold: processes in the
 * namespace's cgroups, which nobody else uses, and the sockets of its shims.
 */
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { TestDaemon } from "../harness/daemons.ts";
import { eventually } from "../harness/eventually.ts";

const CGROUPS = "/sys/fs/cgroup";
/** Below a daemon's state, containerd's or shiplog's. */
const BUNDLES = "io.containerd.runtime.v2.task";

/** The sockets of the daemon's shims, as the bundles of its containers name them; to be asked while these are there. */
export async function shimSockets(daemon: TestDaemon, namespace: string): Promise<readonly string[]> {
  const bundles = join(daemon.paths.state, BUNDLES, namespace);
  const sockets = new Set<string>();
  for (const id of await readdir(bundles).catch(() => [])) {
    const address = await readFile(join(bundles, id, "address"), "utf8").catch(() => "");
    if (address.startsWith("unix://")) sockets.add(address.slice("unix://".length));
  }
  return [...sockets];
}

/** For daemons that have ended, and their shims with them. */
export async function removeSockets(sockets: readonly string[]): Promise<void> {
  for (const socket of sockets) await rm(socket, { force: true });
}

/** Kills what runs in the namespace's cgroups: a runtime's process that was waiting for a start that nobody will ask for any more. */
export async function endProcesses(namespace: string): Promise<void> {
  await eventually(`no process is in the cgroups of ${namespace}`, async () => {
    const pids = await processesOf(namespace);
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
    }
    return pids.length === 0 ? true : undefined;
  });
}

async function processesOf(namespace: string): Promise<readonly number[]> {
  const pids: number[] = [];
  for (const hierarchy of ["", ...(await readdir(CGROUPS))]) {
    const directory = join(CGROUPS, hierarchy, namespace);
    for (const id of await readdir(directory).catch(() => [])) {
      const members = await readFile(join(directory, id, "cgroup.procs"), "utf8").catch(() => "");
      pids.push(...members.split("\n").filter(Boolean).map(Number));
    }
  }
  return pids;
}
