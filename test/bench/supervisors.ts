/**
 * What a daemon's supervisor processes cost: its shims, spare ones too, and the daemon itself. Read from /proc, while the processes live.
 */
import { type FileHandle, open, readdir, readFile, readlink } from "node:fs/promises";
import type { TestDaemon } from "../harness/daemons.ts";
import { shimsOf } from "../harness/traces.ts";

/** USER_HZ, which on Linux is the same on every machine. */
const TICKS_PER_SECOND = 100;

interface Process {
  readonly pid: number;
  readonly parent: number;
  /** Of the process and, as `ended`, of its children that it has waited for. */
  readonly seconds: number;
  readonly ended: number;
}

async function processOf(pid: number): Promise<Process> {
  const stat = await readFile(`/proc/${pid}/stat`, "latin1");
  // proc_pid_stat(5): the name, in parentheses, may hold anything; after it come the state and the parent.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const seconds = (first: number) => (Number(fields[first]) + Number(fields[first + 1])) / TICKS_PER_SECOND;
  return { pid, parent: Number(fields[1]), seconds: seconds(11), ended: seconds(13) };
}

/** CPU seconds that the process has used, in steps of 10 ms. */
export async function cpuSeconds(pid: number): Promise<number> {
  return (await processOf(pid)).seconds;
}

/** The same with those of its children that have ended. */
export async function cpuSecondsWithChildren(pid: number): Promise<number> {
  const { seconds, ended } = await processOf(pid);
  return seconds + ended;
}

/** The pids of the daemon's shims that serve containers. */
export async function shimPids(daemon: TestDaemon): Promise<readonly number[]> {
  return (await shimsOf(daemon.address)).map(({ pid }) => pid);
}

/** The pids of warm shims that wait for the daemon to need them: its children that are told to be spare. */
export async function sparePids(daemon: TestDaemon): Promise<readonly number[]> {
  const spares: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const args = (await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "")).split("\0");
    if (!args.includes("spare")) continue;
    const spare = await processOf(Number(name)).catch(() => undefined);
    if (spare?.parent === daemon.pid) spares.push(spare.pid);
  }
  return spares;
}

/** Memory of some processes together, in bytes. */
export interface Memory {
  /** Pages that n supervisors share count 1/n. */
  readonly pss: number;
  /** The same as the kernel counts it, where n is all processes of the machine. */
  readonly kernelPss: number;
  /** What would be free if each of them ended alone. */
  readonly uss: number;
}

/**
 * Of each group of pids. Other processes that run the same program, as the benchmark itself does, would make the supervisors look smaller than they are
 * elsewhere; so the pages of the program's own file are counted here, for all groups together.
 */
export async function memoryOf<Group extends string>(
  groups: Readonly<Record<Group, readonly number[]>>,
): Promise<Readonly<Record<Group, Memory>>> {
  const entries = Object.entries(groups) as [Group, readonly number[]][];
  const processes = new Map<number, Mapped>();
  for (const [, pids] of entries) for (const pid of pids) processes.set(pid, await mappedBy(pid));
  const sharers = new Map<bigint, number>();
  for (const { programPages } of processes.values())
    for (const page of programPages) sharers.set(page, (sharers.get(page) ?? 0) + 1);
  const together = (pids: readonly number[]): Memory => {
    let [pss, kernelPss, uss] = [0, 0, 0];
    for (const mapped of pids.map((pid) => processes.get(pid)!)) {
      kernelPss += mapped.pss;
      uss += mapped.uss;
      pss += mapped.pss - mapped.programPss;
      for (const page of mapped.programPages) pss += PAGE_BYTES / sharers.get(page)!;
    }
    return { pss, kernelPss, uss };
  };
  return Object.fromEntries(entries.map(([group, pids]) => [group, together(pids)])) as Record<Group, Memory>;
}

const PAGE_BYTES = 4096;
const PAGEMAP_ENTRY_BYTES = 8;

/** What a process has mapped: by the kernel's count, and which frames it has of its program's file. */
interface Mapped {
  readonly pss: number;
  readonly uss: number;
  readonly programPss: number;
  readonly programPages: readonly bigint[];
}

/** proc_pid_smaps(5). */
async function mappedBy(pid: number): Promise<Mapped> {
  const program = await readlink(`/proc/${pid}/exe`);
  let [pss, uss, programPss] = [0, 0, 0];
  const programPages: bigint[] = [];
  const pagemap = await open(`/proc/${pid}/pagemap`);
  try {
    let path = "";
    for (const line of (await readFile(`/proc/${pid}/smaps`, "utf8")).split("\n")) {
      const head = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \d+ *(.*)$/.exec(line);
      if (head !== null) {
        path = head[3]!;
        const [start, end] = [Number.parseInt(head[1]!, 16), Number.parseInt(head[2]!, 16)];
        if (path === program) programPages.push(...(await framesOf(pagemap, start, end)));
      }
      const [, name, size] = /^(\w+): +(\d+) kB$/.exec(line) ?? [];
      const bytes = Number(size) * 1024;
      if (name === "Pss") pss += bytes;
      if (name === "Pss" && path === program) programPss += bytes;
      if (name === "Private_Clean" || name === "Private_Dirty") uss += bytes;
    }
  } finally {
    await pagemap.close();
  }
  return { pss, uss, programPss, programPages };
}

/** proc_pid_pagemap(5): the frames of the pages that are present, which only root is told. */
async function framesOf(pagemap: FileHandle, start: number, end: number): Promise<readonly bigint[]> {
  const entries = Buffer.alloc(((end - start) / PAGE_BYTES) * PAGEMAP_ENTRY_BYTES);
  const { bytesRead } = await pagemap.read(entries, 0, entries.length, (start / PAGE_BYTES) * PAGEMAP_ENTRY_BYTES);
  if (bytesRead !== entries.length) throw new Error(`read a pagemap: ${bytesRead} bytes of ${entries.length}`);
  const frames: bigint[] = [];
  for (let offset = 0; offset < entries.length; offset += PAGEMAP_ENTRY_BYTES) {
    const entry = entries.readBigUInt64LE(offset);
    if (entry >> 63n === 1n) frames.push(entry & ((1n << 55n) - 1n));
  }
  return frames;
}
