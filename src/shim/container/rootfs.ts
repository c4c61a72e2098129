/** A container's root file system in its bundle: mounted for its create, gone with its delete. Errors are in the words of containerd's shim. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { mountAll, unmountAll } from "../../platform/mod.ts";
import type { RootfsMount } from "../journal/mod.ts";

/** Without mounts the bundle's own directory is the root. @throws Error, after which nothing is mounted */
export async function mountRootfs(bundle: string, mounts: readonly RootfsMount[]): Promise<void> {
  if (mounts.length === 0) return;
  const directory = join(bundle, "rootfs");
  await mkdir(directory, { mode: 0o711, recursive: true });
  try {
    await mountAll(mounts, directory);
  } catch (cause) {
    const described = mounts
      .map(({ type, source, options }) => `&{${type} ${source} [${options.join(" ")}]}`)
      .join(" ");
    throw new Error(`failed to mount rootfs component ${described}: ${systemText(cause as Error)}`, { cause });
  }
}

/** @throws Error when it is in use */
export async function unmountRootfs(bundle: string): Promise<void> {
  try {
    await unmountAll(join(bundle, "rootfs"));
  } catch (cause) {
    throw new Error(`failed rootfs umount: ${systemText(cause as Error)}`, { cause });
  }
}

/** Takes it out of sight, in use or not. */
export async function detachRootfs(bundle: string): Promise<void> {
  await unmountAll(join(bundle, "rootfs"), { lazy: true });
}

/** The system's words alone, as Go shows an error of a call: "no such file or directory". */
const systemText = ({ message }: Error): string =>
  /^E[A-Z0-9]+: ([^,]+), /.exec(message)?.[1]?.toLowerCase() ?? message;
