/**
 * Mounting what containerd's API calls a mount: a type, a source and options as in fstab. Owns the reading of those options and the undoing
 * of a mount; must never leave a half-made one behind. Behaviour after containerd's mount/mount_linux.go (v1.6.20).
 */
import { closeSync, constants, openSync, statSync } from "node:fs";
import { mkdtemp, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { closeDescriptor, openIn } from "./at.ts";
import { errorCode, kernelError } from "./errno.ts";
import { cString, kernelCall, kernelCallAsync, libc } from "./kernel.ts";
import { attachLoop } from "./loop.ts";
import { type OperationHook, proceed } from "./operation.ts";

/** A mount as the API carries it. `target` is a path within the place that it is mounted on, empty or absent for that place itself. */
export interface MountDescription {
  readonly type: string;
  readonly source: string;
  readonly target?: string;
  readonly options: readonly string[];
}

const mountCall = libc.func("int mount(const void *, const void *, const void *, unsigned long, const void *)");
const umount2 = libc.func("int umount2(const void *, int)");

const MS_RDONLY = 0x1;
const MS_REMOUNT = 0x20;
const MS_BIND = 0x1000;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

/** Options that are flags of mount(2): which bit, and whether the word sets it or clears it. */
const flagOptions: Readonly<Record<string, readonly [bit: number, sets: boolean]>> = {
  ro: [MS_RDONLY, true],
  rw: [MS_RDONLY, false],
  nosuid: [0x2, true],
  suid: [0x2, false],
  nodev: [0x4, true],
  dev: [0x4, false],
  noexec: [0x8, true],
  exec: [0x8, false],
  sync: [0x10, true],
  async: [0x10, false],
  remount: [MS_REMOUNT, true],
  mand: [0x40, true],
  nomand: [0x40, false],
  dirsync: [0x80, true],
  noatime: [0x400, true],
  atime: [0x400, false],
  nodiratime: [0x800, true],
  diratime: [0x800, false],
  bind: [MS_BIND, true],
  rbind: [MS_BIND | 0x4000, true],
  relatime: [0x200000, true],
  norelatime: [0x200000, false],
  strictatime: [0x1000000, true],
  nostrictatime: [0x1000000, false],
};

/** mount(2) takes one page of options; what is left of it here is for the kernel's own additions. */
const optionBytesMax = 4096 - 512;
/** How often, and how far apart, a busy mount is tried again before its unmount fails. */
const unmountAttemptsMax = 50;
const unmountRetryDelayMs = 50;
/** How many mounts may lie on top of each other on one directory. */
const stackedMountsMax = 128;

/** Splits options into mount(2)'s flags and the text for the file system. `loop`: the source is a file, to be attached to a device. */
export function parseMountOptions(options: readonly string[]): { flags: number; data: string[]; loop: boolean } {
  let flags = 0;
  let loop = false;
  const data: string[] = [];
  for (const option of options) {
    const flag = Object.hasOwn(flagOptions, option) ? flagOptions[option] : undefined;
    if (flag !== undefined) flags = flag[1] ? flags | flag[0] : flags & ~flag[0];
    else if (option === "loop") loop = true;
    else if (option !== "defaults" && option !== "") data.push(option);
  }
  return { flags, data, loop };
}

/** Mounts one description on directory `target`. A read-only bind takes two calls; when the second fails the first is undone. @throws KernelError */
export function mount(description: MountDescription, target: string, hook: OperationHook = proceed): void {
  const place = description.target ? openPlace(target, description.target) : undefined;
  try {
    mountOn(description, place === undefined ? target : `/proc/self/fd/${place}`, hook);
  } finally {
    if (place !== undefined) closeDescriptor(place);
  }
}

function openPlace(target: string, within: string): number {
  const root = openSync(target, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return openIn(root, within, constants.O_RDONLY | constants.O_DIRECTORY);
  } finally {
    closeSync(root);
  }
}

function mountOn({ type, source, options }: MountDescription, target: string, hook: OperationHook): void {
  const { flags, data, loop } = parseMountOptions(options);
  if (loop || isImage(type, source)) {
    mountImage(type, source, target, { flags, text: data.join(",") }, hook);
    return;
  }
  const text = data.join(",");
  const opened: number[] = [];
  try {
    const fitting = type === "overlay" && text.length > optionBytesMax ? shortenLowerDirectories(data, opened) : text;
    call(source, target, type, flags, fitting, hook);
  } finally {
    for (const descriptor of opened) closeSync(descriptor);
  }
  // A bind takes the flags of its source; only a second call can make it read-only.
  if ((flags & MS_BIND) === 0 || (flags & MS_RDONLY) === 0) return;
  try {
    call("", target, "", flags | MS_REMOUNT, "", hook);
  } catch (thrown) {
    umount2(cString(target, "umount2"), MNT_DETACH);
    throw thrown;
  }
}

/** File systems that are mostly mounted from a file, and cannot be written. */
const imageTypes: ReadonlySet<string> = new Set(["squashfs", "erofs"]);

function isImage(type: string, source: string): boolean {
  return imageTypes.has(type) && statSync(source, { throwIfNoEntry: false })?.isFile() === true;
}

/** Through a loop device, which goes with the mount. */
function mountImage(
  type: string,
  source: string,
  target: string,
  { flags, text }: { readonly flags: number; readonly text: string },
  hook: OperationHook,
): void {
  const isReadOnly = imageTypes.has(type) || (flags & MS_RDONLY) !== 0;
  const { path, descriptor } = attachLoop(source, isReadOnly, hook);
  try {
    call(path, target, type, isReadOnly ? flags | MS_RDONLY : flags, text, hook);
  } finally {
    closeSync(descriptor);
  }
}

function call(source: string, target: string, type: string, flags: number, data: string, hook: OperationHook): void {
  const text = (value: string) => (value === "" ? null : cString(value, "mount"));
  const [from, on, kind, options] = [text(source), cString(target, "mount"), text(type), text(data)];
  kernelCall("mount", hook, { path: source, dest: target }, () => mountCall(from, on, kind, flags, options));
}

/** Many layers with long names outgrow the page of options, so each lower directory is opened and named by its descriptor. */
function shortenLowerDirectories(options: readonly string[], opened: number[]): string {
  const prefix = "lowerdir=";
  const open = (directory: string) => {
    const descriptor = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    opened.push(descriptor);
    return `/proc/self/fd/${descriptor}`;
  };
  return options
    .map((option) =>
      option.startsWith(prefix) ? prefix + option.slice(prefix.length).split(":").map(open).join(":") : option,
    )
    .join(",");
}

/** Where in `root` a description is mounted: `..` ends at the root here as it does for the kernel. */
function within(root: string, description: MountDescription): string {
  return join(root, join("/", description.target ?? ""));
}

/** How one description is mounted on a directory. Whatever that takes, unmounting the directory undoes it. */
export type MountFunction = (description: MountDescription, target: string) => void | Promise<void>;

/** Mounts all of a snapshot's mounts in order, each by `mountOne`; when one fails those before it are undone. @throws what `mountOne` throws */
export async function mountAll(
  descriptions: readonly MountDescription[],
  target: string,
  hook: OperationHook = proceed,
  mountOne: MountFunction = (description, place) => mount(description, place, hook),
): Promise<void> {
  const done: MountDescription[] = [];
  try {
    for (const description of descriptions) {
      await mountOne(description, target);
      done.push(description);
    }
  } catch (thrown) {
    for (const description of done.reverse()) await unmount(within(target, description), { lazy: true });
    throw thrown;
  }
}

/**
 * Undoes the topmost mount on `target`; a busy one is tried again for 2.5 seconds. `lazy` takes it out of sight at once and leaves the rest
 * to its last user. @throws KernelError: EINVAL when nothing is mounted there, EBUSY
 */
export async function unmount(
  target: string,
  options: { lazy?: boolean } = {},
  hook: OperationHook = proceed,
): Promise<void> {
  const path = cString(target, "umount2");
  const flags = UMOUNT_NOFOLLOW | (options.lazy ? MNT_DETACH : 0);
  for (let attempt = 1; ; attempt++) {
    try {
      await kernelCallAsync("umount2", hook, { path: target }, [path], (answered) =>
        umount2.async(path, flags, answered),
      );
      return;
    } catch (thrown) {
      if (errorCode(thrown) !== "EBUSY" || attempt === unmountAttemptsMax) throw thrown;
      await delay(unmountRetryDelayMs);
    }
  }
}

/** Undoes every mount on `target`. Nothing mounted there, or no such directory, is no error. @throws KernelError: EBUSY */
export async function unmountAll(
  target: string,
  options: { lazy?: boolean } = {},
  hook: OperationHook = proceed,
): Promise<void> {
  for (let count = 0; count < stackedMountsMax; count++) {
    try {
      await unmount(target, options, hook);
    } catch (thrown) {
      if (errorCode(thrown) === "EINVAL" || errorCode(thrown) === "ENOENT") return;
      throw thrown;
    }
  }
  throw kernelError(16, "umount2", { path: target });
}

/** Directories that temporary mounts of this process are on. */
const temporaryMounts = new Set<string>();

/** Whether a directory is one that `withTemporaryMount` is using now. */
export const isTemporaryMount = (directory: string): boolean => temporaryMounts.has(directory);

/**
 * Mounts on a new directory below `temporary` for as long as `use` runs. The directory is removed only once it is empty again: a mount that
 * cannot be undone must not have its contents deleted. @throws what mounting, `use` or unmounting throws, the first of them
 */
export async function withTemporaryMount<T>(
  descriptions: readonly MountDescription[],
  temporary: string,
  use: (root: string) => Promise<T>,
  hook: OperationHook = proceed,
  mountOne?: MountFunction,
): Promise<T> {
  const root = await mkdtemp(join(temporary, "mount-"));
  temporaryMounts.add(root);
  try {
    await mountAll(descriptions, root, hook, mountOne);
    const result = await settle(use(root));
    const undone = await settle(unmountWhole(descriptions, root, hook));
    if (!result.done) throw result.thrown;
    if (!undone.done) throw undone.thrown;
    return result.value;
  } finally {
    await rmdir(root).catch(() => {});
    temporaryMounts.delete(root);
  }
}

async function unmountWhole(
  descriptions: readonly MountDescription[],
  root: string,
  hook: OperationHook,
): Promise<void> {
  for (const description of descriptions.toReversed())
    if (description.target) await unmountAll(within(root, description), {}, hook);
  await unmountAll(root, {}, hook);
}

async function settle<T>(work: Promise<T>): Promise<{ done: true; value: T } | { done: false; thrown: unknown }> {
  return work.then(
    (value) => ({ done: true, value }),
    (thrown) => ({ done: false, thrown }),
  );
}
