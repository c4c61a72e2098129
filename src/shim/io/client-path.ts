/**
 * Opening what a client names for a stream: a FIFO whose other end is the client's, or a file. Owns the rule that a path reaches only what
 * it names: a symbolic link as its last component is refused (ELOOP), and what was looked at is what is opened. No open here can wait;
 * waiting for a client is done by asking again.
 */
import { constants, fchownSync, fstatSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { closeDescriptor, errorCode, findPath, openAt, openFound, setBlocking } from "../../platform/mod.ts";
import { goErrorText, goPathError } from "./error.ts";

/** containerd's shim gives a client as long to open its ends (pkg/process/init.go). */
const clientWaitMsMax = 30_000;
const askAgainMsMax = 32;

/** As `openat` takes it for paths of the process itself. */
const AT_FDCWD = -100;

const logFileMode = 0o644;
const logDirectoryMode = 0o755;

/** Who may reopen a stream inside the container. */
export interface StreamOwner {
  readonly ioUid: number;
  readonly ioGid: number;
}

export function changeOwner(descriptor: number, { ioUid, ioGid }: StreamOwner): void {
  // Root is who made it; and a client's own FIFO must not become root's where nobody asked for an owner.
  if (ioUid !== 0 || ioGid !== 0) fchownSync(descriptor, ioUid, ioGid);
}

/** An output's path as it was found. A FIFO comes with a reader at its other end, opened so that its writer never gets EPIPE. */
export interface OpenedOutput {
  readonly kind: "fifo" | "file";
  readonly descriptor: number;
}

/**
 * Opens an output's path: a FIFO read-write and blocking, once a client reads it; anything else to append. `create` makes a file that is
 * not there, and the directories above it.
 * @throws Error in containerd's words
 */
export async function openOutput(
  path: string,
  owner: StreamOwner,
  options: { create: boolean },
): Promise<OpenedOutput> {
  if (options.create) {
    const directory = dirname(path);
    await mkdir(directory, { recursive: true, mode: logDirectoryMode }).catch((cause) => {
      if (errorCode(cause) === "EEXIST") throw new Error(`mkdir ${directory}: not a directory`, { cause });
      throw goPathError("mkdir", directory, cause);
    });
  }
  const found = findOutput(path, options);
  if (found === undefined) return { kind: "file", descriptor: openToAppend(path) };
  try {
    const kind = kindOf(found);
    if (kind === "symlink") throw refused(path, "too many levels of symbolic links");
    if (kind === "fifo") return { kind, descriptor: await openRead(path, found, owner) };
    const descriptor = openFound(found, constants.O_WRONLY | constants.O_APPEND);
    setBlocking(descriptor, true);
    return { kind, descriptor };
  } catch (thrown) {
    if (errorCode(thrown) === undefined) throw thrown;
    throw refused(path, goErrorText(thrown), thrown);
  } finally {
    closeDescriptor(found);
  }
}

/** Opens a log file anew, or for the first time; what it is has been seen before, or it is made. @throws Error in containerd's words */
export function openToAppend(path: string): number {
  try {
    const descriptor = openAt(
      AT_FDCWD,
      path,
      constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK | constants.O_NOCTTY,
      logFileMode,
    );
    setBlocking(descriptor, true);
    return descriptor;
  } catch (cause) {
    throw goPathError("open", path, cause);
  }
}

/** Where stdin comes from. A FIFO comes with a writer of the shim's own, so that clients can leave and come back; both do not block. */
export type OpenedInput =
  | { readonly kind: "fifo"; readonly reader: number; readonly writer: number }
  | { readonly kind: "file"; readonly descriptor: number };

/** Opens stdin's path without waiting for a client. @throws Error in containerd's words */
export function openInput(path: string): OpenedInput {
  let found: number;
  try {
    found = findPath(path);
  } catch (cause) {
    throw new Error(`failed to open stdin fifo ${path}: stat ${path}: ${goErrorText(cause)}`, { cause });
  }
  try {
    const kind = kindOf(found);
    if (kind === "symlink")
      throw new Error(`failed to open stdin fifo ${path}: open ${path}: too many levels of symbolic links`);
    const reader = openFound(found, constants.O_RDONLY);
    if (kind === "file") {
      setBlocking(reader, true);
      return { kind, descriptor: reader };
    }
    return { kind, reader, writer: openFound(found, constants.O_WRONLY) };
  } catch (cause) {
    if (errorCode(cause) === undefined) throw cause;
    throw new Error(`failed to open stdin fifo ${path}: open ${path}: ${goErrorText(cause)}`, { cause });
  } finally {
    closeDescriptor(found);
  }
}

function findOutput(path: string, { create }: { create: boolean }): number | undefined {
  try {
    return findPath(path);
  } catch (thrown) {
    if (create && errorCode(thrown) === "ENOENT") return undefined;
    throw refused(path, goErrorText(thrown), thrown);
  }
}

function kindOf(found: number): "fifo" | "file" | "symlink" {
  const status = fstatSync(found);
  if (status.isFIFO()) return "fifo";
  return status.isSymbolicLink() ? "symlink" : "file";
}

function refused(path: string, why: string, cause?: unknown): Error {
  return new Error(`containerd-shim: opening file ${JSON.stringify(path)} failed: open ${path}: ${why}`, { cause });
}

/**
 * Opens a FIFO once somebody reads it. With a reader there, what the process writes and leaves behind when it ends at once is not lost. It is
 * opened for reading too, so that it stays whole when readers leave and come back, and when the shim dies.
 */
async function openRead(path: string, found: number, owner: StreamOwner): Promise<number> {
  const deadline = performance.now() + clientWaitMsMax;
  for (let wait = 1; ; wait = Math.min(wait * 2, askAgainMsMax)) {
    try {
      const probe = openFound(found, constants.O_WRONLY);
      try {
        const descriptor = openFound(found, constants.O_RDWR);
        setBlocking(descriptor, true);
        changeOwner(descriptor, owner);
        return descriptor;
      } finally {
        // Last, or the reader would see an end.
        closeDescriptor(probe);
      }
    } catch (thrown) {
      const isUnread = errorCode(thrown) === "ENXIO";
      if (isUnread && performance.now() < deadline) await delay(wait);
      else {
        const why = isUnread ? "context deadline exceeded" : goErrorText(thrown);
        throw new Error(`containerd-shim: opening w/o fifo ${JSON.stringify(path)} failed: ${why}`, { cause: thrown });
      }
    }
  }
}
