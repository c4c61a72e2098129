/**
 * What the demo must not leave behind when it was interrupted or failed half-way: containers, shims and mounts. Finds them by the
 * demo's own temporary folder, which nothing else names; touches nothing else.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";

export interface Traces {
  /** The demo's temporary folder. */
  readonly folder: string;
  readonly address: string;
  readonly state: string;
  readonly runcRoot: string;
}

/** Runs after the daemon was stopped; a no-op for what the demo has removed in order. */
export function cleanUp({ folder, address, state, runcRoot }: Traces): void {
  for (const namespace of list(runcRoot)) {
    const root = join(runcRoot, namespace);
    for (const id of list(root)) spawnSync("runc", ["--root", root, "delete", "--force", id], { stdio: "ignore" });
  }
  const sockets = shimSockets(state);
  for (const pid of shimsOf(address)) process.kill(pid, "SIGKILL");
  for (const socket of sockets) rmSync(socket, { force: true });
  for (const point of mountsUnder(folder)) spawnSync("umount", ["-l", point], { stdio: "ignore" });
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}

/** Folders that shims make for their sockets, innermost first. */
const socketFolders = ["/run/containerd/s", "/run/containerd"];

/** Remembers which of the shims' folders are not there yet; the function that it returns removes those again if they are empty. */
export function rememberSocketFolders(): () => void {
  const missing = socketFolders.filter((folder) => !existsSync(folder));
  return () => {
    for (const folder of missing) {
      try {
        rmdirSync(folder);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== "ENOENT" && code !== "ENOTEMPTY") throw error;
      }
    }
  };
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** The sockets of shims that did not end in order: each bundle's `address` file names its own. */
function shimSockets(state: string): string[] {
  const bundles = join(state, "io.containerd.runtime.v2.task");
  const files = list(bundles).flatMap((namespace) =>
    list(join(bundles, namespace)).map((id) => join(bundles, namespace, id, "address")),
  );
  return files
    .filter((file) => existsSync(file))
    .map((file) =>
      readFileSync(file, "utf8")
        .trim()
        .replace(/^unix:\/\//, ""),
    );
}

/** Processes that were given the daemon's address as an argument of their own. */
function shimsOf(address: string): number[] {
  const pids = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  return pids.filter((pid) => pid !== process.pid && argumentsOf(pid).includes(address));
}

function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    // It ended meanwhile.
    return [];
  }
}

/** Mount points below the folder, innermost first. */
function mountsUnder(folder: string): string[] {
  const points = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "");
  return points.filter((point) => point.startsWith(`${folder}/`)).reverse();
}
