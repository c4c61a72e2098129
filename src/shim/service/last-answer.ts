/**
 * What the deletion of a container answered, kept in its bundle as the `delete` action answers. A daemon calls that action once the shim has ended
 * (containerd 1.6 does it for each task), and the launcher, bin/containerd-shim-shiplog-v1, then gives this on and starts no Node. It is there only when
 * nothing of the container is left to be cleared away.
 */
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DeleteResponse } from "../../wire/gen/containerd/task/v2/shim.ts";

/** The launcher has the same. */
const fileName = "shim.deleted";

/** A reader finds all of it or nothing. @throws node:fs errors */
export function keepLastAnswer(bundle: string, answer: DeleteResponse): void {
  const path = join(bundle, fileName);
  writeFileSync(`${path}.new`, DeleteResponse.encode(answer).finish(), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Before there is something in the bundle again. @throws node:fs errors */
export function forgetLastAnswer(bundle: string): void {
  rmSync(join(bundle, fileName), { force: true });
}
