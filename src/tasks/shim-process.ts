/**
 * Finding and ending shim processes by what /proc says of them.
 *
 * Owns the proof that a process is a shim of ours: its command line names this daemon's address, the namespace and the id, as
 * only a shim that this daemon started does. It must never end a process on any other ground. Needed where no connection
 * leads to a shim: it hangs, or its `start` was still running when the daemon died.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { errorCode, processStartTime } from "../platform/mod.ts";
import type { TaskKey } from "./bundle.ts";

/** How long an ended process may take to be gone; the kernel may have to write out a core or wait for a disk. */
const goneMsMax = 5_000;
const goneCheckEveryMs = 10;

/** A process, named so that a later one with the same number is not taken for it. */
export interface ShimProcess {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly startTime: number;
  /** The shim's program and arguments. */
  readonly args: readonly string[];
}

/** The shim processes of this key and of the daemon at `address`: servers, and `start` or `delete` commands that still run. */
export function findShimProcesses({ namespace, id }: TaskKey, address: string): ShimProcess[] {
  const found: ShimProcess[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const pid = Number(name);
    const args = argumentsOf(pid);
    if (flag(args, "-namespace") !== namespace || flag(args, "-id") !== id || flag(args, "-address") !== address)
      continue;
    const startTime = processStartTime(pid);
    if (startTime !== undefined) found.push({ pid, startTime, args });
  }
  return found;
}

/** Every shim process of the daemon at `address`, with the key that it was started for and the addresses where it listens. */
export function allShimProcesses(
  address: string,
): (ShimProcess & { readonly key: TaskKey; readonly listensAt: readonly string[] })[] {
  return readdirSync("/proc").flatMap((name) => {
    const args = /^\d+$/.test(name) ? argumentsOf(Number(name)) : [];
    const [namespace, id] = [flag(args, "-namespace"), flag(args, "-id")];
    if (namespace === undefined || id === undefined || flag(args, "-address") !== address) return [];
    const pid = Number(name);
    const startTime = processStartTime(pid);
    return startTime === undefined
      ? []
      : [{ pid, startTime, args, key: { namespace, id }, listensAt: socketAddresses(pid) }];
  });
}

/** True when process `pid` is a shim of the daemon at `address`, whichever task it was started for. */
export function isShimOf(pid: number, address: string): boolean {
  const args = argumentsOf(pid);
  return (
    flag(args, "-address") === address && flag(args, "-namespace") !== undefined && flag(args, "-id") !== undefined
  );
}

/** Ends the process and resolves once it is gone; false when it would not go. */
export async function endProcess({ pid, startTime }: Omit<ShimProcess, "args">): Promise<boolean> {
  const deadline = Date.now() + goneMsMax;
  for (;;) {
    if (processStartTime(pid) !== startTime || isZombie(pid)) return true;
    try {
      // Nothing is awaited between reading the start time and this, so the number still means the same process.
      process.kill(pid, "SIGKILL");
    } catch (error) {
      if (errorCode(error) === "ESRCH") return true;
      throw error;
    }
    if (Date.now() > deadline) return false;
    await delay(goneCheckEveryMs);
  }
}

/** Ends `start` commands of this key that still run: once this resolves, no more servers of it begin. */
export async function endStartCommands(key: TaskKey, address: string): Promise<void> {
  for (const command of findShimProcesses(key, address)) if (command.args.at(-1) === "start") await endProcess(command);
}

/**
 * Ends the shim processes of this key: a `start` first, for it could begin another server. A server stays when `spared` holds
 * of the address that it listens at: a shim may serve other tasks of its group long after the one it was started for.
 */
export async function endShimProcesses(
  key: TaskKey,
  address: string,
  spared: (shimAddress: string) => boolean,
): Promise<void> {
  await endStartCommands(key, address);
  for (const server of findShimProcesses(key, address)) {
    if (!socketAddresses(server.pid).some(spared)) await endProcess(server);
  }
}

/** Where a process listens, as a shim would tell it; its accepted connections have the same address. */
function socketAddresses(pid: number): string[] {
  const inodes = socketInodes(pid);
  // proc_pid_net(5): seven columns, then the path, if any; an abstract name begins with @.
  return readFileSync("/proc/net/unix", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , , , , inode, path]) => inode !== undefined && path !== undefined && inodes.has(inode))
    .map(([, , , , , , , path]) => (path!.startsWith("@") ? path!.slice(1) : `unix://${path}`));
}

function socketInodes(pid: number): Set<string> {
  const inodes = new Set<string>();
  try {
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode !== undefined) inodes.add(inode);
    }
  } catch (error) {
    // It has ended, or closed one of them, meanwhile; in doubt it has no socket that anyone could be connected to.
    if (errorCode(error) !== "ENOENT" && errorCode(error) !== "ESRCH") throw error;
  }
  return inodes;
}

function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ESRCH") return [];
    throw error;
  }
}

function flag(args: readonly string[], name: string): string | undefined {
  const at = args.indexOf(name);
  return at < 0 ? undefined : args[at + 1];
}

function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
  } catch {
    return true;
  }
}
