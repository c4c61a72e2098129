/**
 * The shim's own log: lines into the `log` FIFO of the bundle that it was started for, which the daemon reads (containerd: runtime/v2/shim_unix.go).
 * Lines are logrus's, since that is where containerd puts them.
 *
 * Owns the descriptor. It must never make anyone wait: what the FIFO has no room for is left out, and how many lines that were is said when there
 * is room again. It is open for reading too, so that what is written while the daemon is away is there when it comes back.
 */
import { constants, fstatSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Log, LogLevel } from "./task-service.ts";

/** Bytes of a line; up to here a line in a pipe is whole or not there (pipe(7), PIPE_BUF). */
const lineBytesMax = 4_096;

export interface ShimLog {
  readonly log: Log;
  /** The FIFO, or undefined where the bundle has none. */
  readonly descriptor: number | undefined;
}

/** The log of the bundle's FIFO. Without one, or when it cannot be opened, nothing is logged: that is no reason not to run a container. */
export function openLog(bundle: string, { debug }: { readonly debug: boolean }): ShimLog {
  const descriptor = openFifo(join(bundle, "log"));
  if (descriptor === undefined) return { log: () => {}, descriptor };
  let lost = 0;
  const write = (line: string): boolean => {
    try {
      writeSync(descriptor, lineOf(line));
      return true;
    } catch {
      return false;
    }
  };
  const log: Log = (level, message, fields = {}) => {
    if (level === "debug" && !debug) return;
    if (lost > 0 && write(format("warning", `${lost} lines of this log had no room`, {}))) lost = 0;
    if (!write(format(level, message, fields))) lost++;
  };
  return { log, descriptor };
}

function openFifo(path: string): number | undefined {
  try {
    const descriptor = openSync(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    return fstatSync(descriptor).isFIFO() ? descriptor : undefined;
  } catch {
    return undefined;
  }
}

function lineOf(text: string): Buffer {
  const bytes = Buffer.from(`${text}\n`);
  if (bytes.length <= lineBytesMax) return bytes;
  const cut = Buffer.from(bytes.subarray(0, lineBytesMax));
  cut[lineBytesMax - 1] = 0x0a;
  return cut;
}

function format(level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>): string {
  const shown = Object.entries(fields).map(([name, value]) => ` ${name}=${quoted(text(value))}`);
  return `time=${quoted(new Date().toISOString())} level=${level} msg=${quoted(message)}${shown.join("")}`;
}

function text(value: unknown): string {
  if (!(value instanceof Error)) return String(value);
  return value.cause instanceof Error ? `${value.message}: ${value.cause.message}` : value.message;
}

/** As logrus does: bare where nothing in it could be misread. */
function quoted(value: string): string {
  return /^[A-Za-z0-9\-._/@^+]+$/.test(value) ? value : JSON.stringify(value);
}
