/** What is mounted where, as the kernel tells it in /proc/PID/mountinfo (proc(5)). Owns the format; changes nothing. */
import { readFileSync } from "node:fs";
import { type OperationHook, proceed } from "./operation.ts";

/** One mounted file system. */
export interface MountInfo {
  readonly id: number;
  readonly parent: number;
  /** Of the file system's device. */
  readonly major: number;
  readonly minor: number;
  /** The directory of the file system that this mount shows. */
  readonly root: string;
  readonly mountpoint: string;
  readonly options: readonly string[];
  /** Propagation: `shared:N`, `master:N`, `propagate_from:N`, `unbindable`. */
  readonly tags: readonly string[];
  readonly type: string;
  readonly source: string;
  readonly superOptions: readonly string[];
}

/** The mounts that a process sees, in the order in which they were made within each parent. @throws node:fs errors */
export function readMountinfo(pid: number | "self" = "self", hook: OperationHook = proceed): MountInfo[] {
  hook("mountinfo.read");
  return parseMountinfo(readFileSync(`/proc/${pid}/mountinfo`, "utf8"));
}

/** Reads the text of a mountinfo file. @throws Error for a line that is none */
export function parseMountinfo(text: string): MountInfo[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map(parseLine);
}

function parseLine(line: string): MountInfo {
  const fields = line.split(" ");
  const separator = fields.indexOf("-", 6);
  const [id, parent, device, root, mountpoint, options] = fields;
  const [type, source, superOptions] = fields.slice(separator + 1);
  const [major, minor] = device?.split(":") ?? [];
  if (
    separator < 0 ||
    minor === undefined ||
    root === undefined ||
    mountpoint === undefined ||
    type === undefined ||
    source === undefined
  )
    throw new Error(`read mountinfo: not a mount: '${line}'`);
  return {
    id: Number(id),
    parent: Number(parent),
    major: Number(major),
    minor: Number(minor),
    root: unescapeField(root),
    mountpoint: unescapeField(mountpoint),
    options: options?.split(",") ?? [],
    tags: fields.slice(6, separator),
    type,
    source: unescapeField(source),
    superOptions: superOptions?.split(",") ?? [],
  };
}

/** The kernel writes space, tab, newline and backslash as three octal digits. */
function unescapeField(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
