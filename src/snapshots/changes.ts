/** What differs between two sets of mounts, name by name. Owns mounting them to be read; the comparison is a worker thread's. */
import { Mounters } from "../mounts/mod.ts";
import type { MountDescription } from "../platform/mod.ts";
import type { ApplyOptions } from "./apply.ts";
import type { ListedChange } from "./change-lines.ts";
import { readOnly } from "./diff.ts";

export type { ListedChange };

/** The longest line that a worker makes: a path has at most 4096 bytes, each of which may be escaped. */
const lineBytesMax = 64 * 1024;

/**
 * Gives `take` the changes in the order of their paths, some at a time. Nothing of the trees is changed.
 * @throws KernelError of mounting and reading, what `take` throws, the signal's reason
 */
export async function listChanges(
  {
    left,
    right,
    signal,
  }: {
    readonly left: readonly MountDescription[];
    readonly right: readonly MountDescription[];
    readonly signal?: AbortSignal;
  },
  take: (changes: readonly ListedChange[]) => Promise<void>,
  { workers, temporary, mounters = new Mounters() }: ApplyOptions,
): Promise<void> {
  let rest = "";
  const sink = async (bytes: Uint8Array) => {
    const lines = (rest + Buffer.from(bytes).toString()).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > lineBytesMax) throw new Error("list changes: a line without an end");
    await take(lines.map((line) => JSON.parse(line) as ListedChange));
  };
  await mounters.during(readOnly(left), temporary, (leftRoot) =>
    mounters.during(readOnly(right), temporary, (rightRoot) =>
      workers.run(
        "changes",
        { left: leftRoot, right: rightRoot },
        { sink, ...(signal === undefined ? {} : { signal }) },
      ),
    ),
  );
}
