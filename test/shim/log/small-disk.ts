/** A small ext4 of its own on a loop device: a disk that can be filled and frozen. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, open, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { eventually } from "../../harness/eventually.ts";

const execute = promisify(execFile);
const imageBytes = 8 * 1024 * 1024;

export interface SmallDisk {
  readonly directory: string;
  /** Takes all but so many bytes. */
  fill(bytesLeft: number): Promise<void>;
  /** Gives back what fill took. */
  empty(): Promise<void>;
  /** Writes hang until thaw. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
}

/** Mounts it, and unmounts and removes it when the test ends. */
export async function smallDisk(t: { after(end: () => Promise<void>): void }): Promise<SmallDisk> {
  const root = await mkdtemp(join(tmpdir(), "shiplog-disk-"));
  const image = join(root, "image");
  const directory = join(root, "mounted");
  const filler = join(directory, "filler");
  let frozen = false;
  const thaw = async () => {
    if (frozen) await execute("fsfreeze", ["--unfreeze", directory]);
    frozen = false;
  };
  await mkdir(directory);
  const file = await open(image, "w");
  await file.truncate(imageBytes);
  await file.close();
  await execute("mkfs.ext4", ["-q", "-m", "0", "-O", "^has_journal", image]);
  await execute("mount", ["-o", "loop", image, directory]);
  t.after(async () => {
    await thaw();
    // What hung while it was frozen needs a moment to let go of it.
    await eventually("the disk can be unmounted", () =>
      execute("umount", [directory]).then(
        () => true,
        () => undefined,
      ),
    );
    await rm(root, { recursive: true });
  });
  return {
    directory,
    async fill(bytesLeft) {
      const { bavail, bsize } = await statfs(directory);
      const handle = await open(filler, "w");
      // The file's own bookkeeping takes some as well, so the last bytes may not be there.
      const written = handle.writeFile(Buffer.alloc(Math.max(0, bavail * bsize - bytesLeft)));
      await written.catch((error) => assert.equal(error.code, "ENOSPC"));
      // Allocation may be delayed until then, and the space seem to be there.
      await handle.sync();
      await handle.close();
    },
    empty: () => rm(filler),
    async freeze() {
      await execute("fsfreeze", ["--freeze", directory]);
      frozen = true;
    },
    thaw,
  };
}
