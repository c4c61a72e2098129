/** Writing a container's checkpoint with criu, and saying why it failed (containerd: pkg/process/init.go checkpoint). */
import { copyFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Runc } from "../runc/mod.ts";

export interface CheckpointRequest {
  readonly imagePath: string;
  /** Where criu works and leaves its log; "" for a directory that is removed afterwards. */
  readonly workPath: string;
  /** In the runtime's spelling. */
  readonly flags: readonly string[];
}

/** @throws Error with criu's first line, and the path of its log */
export async function writeCheckpoint(
  runc: Runc,
  bundle: string,
  { imagePath, workPath, flags }: CheckpointRequest,
): Promise<void> {
  const work = workPath === "" ? join(bundle, "work", "criu-work") : workPath;
  try {
    await runc.checkpoint(imagePath, work, flags);
  } catch (cause) {
    const log = join(bundle, "criu-dump.log");
    // criu may not have come as far as to write one; what the runtime says is then all there is.
    await copyFile(join(work, "dump.log"), log).catch(() => {});
    const [firstLine] = (cause as Error).message.split("\n");
    throw new Error(`${firstLine} path= ${log}`, { cause });
  } finally {
    if (workPath === "") await rm(work, { recursive: true, force: true });
  }
}
