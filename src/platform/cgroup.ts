/** Control groups as directories. Owns nothing; it only ever removes a group that the kernel agrees is empty. */
import { rmdir } from "node:fs/promises";
import { join, normalize } from "node:path";
import { errorCode } from "./errno.ts";
import { readMountinfo } from "./mountinfo.ts";
import { type OperationHook, proceed } from "./operation.ts";

/** What rmdir says of a group that is not there, has processes or groups in it, or is a mount. */
const harmless: ReadonlySet<string> = new Set(["ENOENT", "EBUSY", "ENOTEMPTY", "ENOTDIR"]);

/** Removes the group `path` (as an OCI spec names it) from every hierarchy where it is there and empty. @throws errors of rmdir */
export async function removeEmptyCgroup(path: string, hook: OperationHook = proceed): Promise<void> {
  const below = normalize(join("/", path));
  if (below === "/") return;
  for (const { type, mountpoint } of readMountinfo("self", hook)) {
    if (type !== "cgroup" && type !== "cgroup2") continue;
    hook("cgroup.rmdir");
    try {
      await rmdir(join(mountpoint, below));
    } catch (error) {
      if (!harmless.has(errorCode(error) ?? "")) throw error;
    }
  }
}
