/** Small containers straight from runc, and bare control groups, for tests of what the shim does with them. */
import { execFile } from "node:child_process";
import { closeSync } from "node:fs";
import { chmod, copyFile, mkdir, readdir, readFile, rmdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { openPoll, PollEvent, pidfdOpen } from "../../../src/platform/mod.ts";
import { runtimeSpec } from "../../harness/spec.ts";

const run = promisify(execFile);

/** A name for groups that no other test has. */
export const groupName = (test: string) => `shiplog-cgroup-${test}-${process.pid}`;

/** A container that runc has created and not started: busybox with `args`, in the control group `/group/id`. */
export class RuncContainer {
  readonly id: string;
  readonly pid: number;
  readonly #root: string;

  /** Creates one for as long as `use` runs. */
  static async with(
    directory: string,
    group: string,
    id: string,
    args: readonly string[],
    use: (container: RuncContainer) => Promise<void>,
    memoryMax?: number,
  ): Promise<void> {
    const container = await RuncContainer.create(directory, group, id, args, memoryMax);
    try {
      await use(container);
    } finally {
      await container.delete();
    }
  }

  private constructor(id: string, pid: number, root: string) {
    this.id = id;
    this.pid = pid;
    this.#root = root;
  }

  private static async create(
    directory: string,
    group: string,
    id: string,
    args: readonly string[],
    memoryMax?: number,
  ) {
    const bundle = join(directory, id);
    await mkdir(join(bundle, "rootfs", "bin"), { recursive: true });
    await copyFile("/bin/busybox", join(bundle, "rootfs", "bin", "busybox"));
    await chmod(join(bundle, "rootfs", "bin", "busybox"), 0o755);
    for (const applet of ["sh", "tail", "sleep"]) await symlink("busybox", join(bundle, "rootfs", "bin", applet));
    const spec = JSON.parse(runtimeSpec(args, { cgroup: `/${group}/${id}` }).value.toString());
    if (memoryMax !== undefined) spec.linux.resources = { memory: { limit: memoryMax, swap: memoryMax } };
    await writeFile(join(bundle, "config.json"), JSON.stringify(spec));
    const root = join(directory, "runc");
    const create = ["--root", root, "create", "--bundle", bundle, "--pid-file", join(bundle, "pid"), id];
    // With its output open the container would keep the pipes to this process.
    await run("sh", ["-c", 'exec runc "$@" >/dev/null 2>&1 </dev/null', "runc", ...create]);
    return new RuncContainer(id, Number(await readFile(join(bundle, "pid"), "utf8")), root);
  }

  async runc(...args: readonly string[]): Promise<void> {
    await run("runc", ["--root", this.#root, ...args]);
  }

  start(): Promise<void> {
    return this.runc("start", this.id);
  }

  delete(): Promise<void> {
    return this.runc("delete", "--force", this.id);
  }
}

/** Resolves, synchronously with what the event loop tells, when the process has ended. Call it while the process runs. */
export function exitOf<T>(pid: number, onExit: () => T): Promise<T> {
  const descriptor = pidfdOpen(pid);
  return new Promise((resolve, reject) => {
    const poll = openPoll(descriptor, () => {
      poll.close();
      closeSync(descriptor);
      try {
        resolve(onExit());
      } catch (error) {
        reject(error);
      }
    });
    poll.start(PollEvent.Readable);
  });
}

/** Removes a group that a test made, with those below it, from every hierarchy. */
export async function removeGroup(group: string): Promise<void> {
  for (const hierarchy of await readdir("/sys/fs/cgroup")) await removeTree(join("/sys/fs/cgroup", hierarchy, group));
}

async function removeTree(path: string): Promise<void> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return;
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(path, entry.name));
  await rmdir(path);
}
