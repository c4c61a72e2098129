/**
 * The formats of the files in which a control group counts (kernel documentation: cgroup-v1, cgroup-v2).
 *
 * Owns reading and the formats. A file that is not there reads as undefined or as no keys: which controllers and counters
 * there are differs between kernels. Reads are synchronous: each file is made by the kernel at once, in microseconds, and
 * going by the thread pool would cost more than the read.
 */
import { readFileSync } from "node:fs";
import { errorCode } from "../../platform/mod.ts";

/** What the kernel calls `max` where zero would mean something: 2^64-1. */
export const noLimit = 0xffff_ffff_ffff_ffffn;

/** The text of a file, or undefined when the file or its group is not there, or the kernel has switched it off. */
export function readCounterFile(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch (thrown) {
    // ENODEV: the group went away between open and read. EOPNOTSUPP: pressure counters are switched off.
    if (["ENOENT", "ENOTDIR", "ENODEV", "EOPNOTSUPP"].includes(errorCode(thrown) ?? "")) return undefined;
    throw thrown;
  }
}

/** A count, which the kernel writes in decimal; below zero is zero, as for containerd. @throws Error for anything else */
export function parseCount(text: string): bigint {
  if (!/^\s*-?\d+\s*$/.test(text)) throw new Error(`read a counter: not a number: '${text.trim()}'`);
  const count = BigInt(text);
  return count < 0n ? 0n : count;
}

/** The one value in a file, `max` being noLimit; zero when the file is not there. */
export function readCount(path: string): bigint {
  const text = readCounterFile(path)?.trim();
  if (text === undefined) return 0n;
  return text === "max" ? noLimit : parseCount(text);
}

/** A file of lines `key value`. */
export class Counters {
  readonly #values: ReadonlyMap<string, bigint>;

  constructor(text: string) {
    const lines = text.split("\n").filter((line) => line !== "");
    this.#values = new Map(
      lines.map((line) => {
        const space = line.indexOf(" ");
        return [line.slice(0, space), parseCount(line.slice(space + 1))];
      }),
    );
  }

  /** The value of a key; zero when the kernel does not have it. */
  get(key: string): bigint {
    return this.#values.get(key) ?? 0n;
  }
}

/** Reads a file of lines `key value`, or undefined when it is not there. */
export function readCounters(path: string): Counters | undefined {
  const text = readCounterFile(path);
  return text === undefined ? undefined : new Counters(text);
}

export interface RdmaCount {
  readonly device: string;
  readonly hcaHandles: number;
  readonly hcaObjects: number;
}

/** A file of lines `mlx4_0 hca_handle=2 hca_object=max`; `max` is 2^32-1. */
export function parseRdma(text: string): RdmaCount[] {
  const count = (field: string | undefined) => (field === "max" ? 0xffff_ffff : Number(field ?? 0));
  return [...text.matchAll(/^(\S+) hca_handle=(\S+) hca_object=(\S+)/gm)].map(([, device, handles, objects]) => ({
    device: device ?? "",
    hcaHandles: count(handles),
    hcaObjects: count(objects),
  }));
}
