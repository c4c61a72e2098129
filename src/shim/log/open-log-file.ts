/**
 * Opening any file of a log. Owns the rule that a path reaches only what it names, the same that src/shim/io/client-path.ts keeps for the other streams:
 * a symbolic link as its last component is refused (ELOOP). No open here waits: a FIFO's would, for its other end, in a thread that others need.
 */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";

/** As Docker and the kubelet have it: what a container prints is not for everybody. */
const logFileMode = 0o640;

/** `flags` as open(2) has them. @throws node:fs errors; Error when it is not a regular file */
export async function openLogFile(path: string, flags: number): Promise<FileHandle> {
  const handle = await open(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK, logFileMode);
  try {
    if (!(await handle.stat()).isFile()) throw new Error(`${path} is not a regular file`);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}
