/**
 * Calls that name a file by a directory's descriptor and one name in it. Owns the constants and structures of those calls. A descriptor
 * from here is closed with `closeDescriptor`; node:fs may read and write it meanwhile. Nothing here follows a symbolic link in the last
 * component, `openIn` aside, which never leaves the directory it was given.
 */
import { constants } from "node:fs";
import { errorCode } from "./errno.ts";
import { cString, kernelCall, libc } from "./kernel.ts";
import { type OperationHook, proceed } from "./operation.ts";

const O_PATH = 0x200000;
const O_CLOEXEC = 0x80000;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const AT_EMPTY_PATH = 0x1000;
const RESOLVE_NO_XDEV = 0x01;
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_NO_SYMLINKS = 0x04;
const RESOLVE_IN_ROOT = 0x10;
const SYS_OPENAT2 = 437;
const STATX_BASIC_STATS = 0x7ff;
const pathMax = 4096;

const c = {
  openat: libc.func("int openat(int, const void *, int, unsigned int)"),
  openat2: libc.func("syscall", "long", ["long", "int", "const void *", "const void *", "size_t"]),
  close: libc.func("int close(int)"),
  mkdirat: libc.func("int mkdirat(int, const void *, unsigned int)"),
  unlinkat: libc.func("int unlinkat(int, const void *, int)"),
  linkat: libc.func("int linkat(int, const void *, int, const void *, int)"),
  symlinkat: libc.func("int symlinkat(const void *, int, const void *)"),
  readlinkat: libc.func("intptr_t readlinkat(int, const void *, void *, size_t)"),
  mknodat: libc.func("int mknodat(int, const void *, unsigned int, uint64_t)"),
  fchownat: libc.func("int fchownat(int, const void *, unsigned int, unsigned int, int)"),
  fchmodat: libc.func("int fchmodat(int, const void *, unsigned int, int)"),
  utimensat: libc.func("int utimensat(int, const void *, const void *, int)"),
  statx: libc.func("int statx(int, const void *, int, unsigned int, void *)"),
};

/** What stat tells, as far as anything here needs it. Times are nanoseconds since 1970; `device` and `rdev` are major and minor. */
export interface Status {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly inode: bigint;
  readonly links: number;
  readonly size: number;
  readonly blocks: number;
  readonly mtime: bigint;
  readonly atime: bigint;
  readonly device: readonly [major: number, minor: number];
  readonly rdev: readonly [major: number, minor: number];
}

type Name = string | Buffer;

/** How far a path may lead: never through a symbolic link (ELOOP), never onto another mount (EXDEV). */
export interface Confinement {
  readonly noLinks?: boolean;
  readonly noMounts?: boolean;
}

/**
 * Opens `path` with `root` as its root directory (openat2 with RESOLVE_IN_ROOT): `..`, absolute paths and symbolic links all stay inside.
 * @throws KernelError
 */
export function openIn(
  root: number,
  path: Name,
  flags: number,
  options: Confinement & { mode?: number } = {},
  hook: OperationHook = proceed,
): number {
  const bytes = cString(path, "openat2");
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(flags | O_CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(options.mode ?? 0), 8);
  const resolve =
    RESOLVE_IN_ROOT |
    RESOLVE_NO_MAGICLINKS |
    (options.noLinks ? RESOLVE_NO_SYMLINKS : 0) |
    (options.noMounts ? RESOLVE_NO_XDEV : 0);
  how.writeBigUInt64LE(BigInt(resolve), 16);
  return kernelCall("openat2", hook, { path }, () => c.openat2(SYS_OPENAT2, root, bytes, how, how.length));
}

/** Opens `path` inside `root` only to stand on it: as the directory of later calls, or to ask for its status. @throws KernelError */
export function standIn(
  root: number,
  path: Name,
  options: Confinement & { directory?: boolean } = {},
  hook: OperationHook = proceed,
): number {
  return openIn(root, path, O_PATH | (options.directory ? constants.O_DIRECTORY : 0), options, hook);
}

/** Opens one name in a directory, never through a symbolic link (ELOOP). @throws KernelError */
export function openAt(directory: number, name: Name, flags: number, mode = 0, hook: OperationHook = proceed): number {
  const bytes = cString(name, "openat");
  return kernelCall("openat", hook, { path: name }, () =>
    c.openat(directory, bytes, flags | constants.O_NOFOLLOW | O_CLOEXEC, mode),
  );
}

/** Closes a descriptor. Linux has closed it even where the call says it was interrupted, so failures are not errors here. */
export function closeDescriptor(descriptor: number): void {
  c.close(descriptor);
}

/** Makes a directory; the process's umask applies. @throws KernelError */
export function makeDirectoryAt(directory: number, name: Name, mode: number, hook: OperationHook = proceed): void {
  const bytes = cString(name, "mkdirat");
  kernelCall("mkdirat", hook, { path: name }, () => c.mkdirat(directory, bytes, mode));
}

/** Removes a name that is not a directory (EISDIR). @throws KernelError */
export function unlinkAt(directory: number, name: Name, hook: OperationHook = proceed): void {
  const bytes = cString(name, "unlinkat");
  kernelCall("unlinkat", hook, { path: name }, () => c.unlinkat(directory, bytes, 0));
}

/** Removes an empty directory. @throws KernelError */
export function removeDirectoryAt(directory: number, name: Name, hook: OperationHook = proceed): void {
  const bytes = cString(name, "unlinkat");
  kernelCall("unlinkat", hook, { path: name }, () => c.unlinkat(directory, bytes, AT_REMOVEDIR));
}

/** Makes a hard link to the very file that is named, also when that is a symbolic link. @throws KernelError */
export function linkAt(
  fromDirectory: number,
  from: Name,
  directory: number,
  name: Name,
  hook: OperationHook = proceed,
): void {
  const source = cString(from, "linkat");
  const bytes = cString(name, "linkat");
  kernelCall("linkat", hook, { path: from, dest: name }, () => c.linkat(fromDirectory, source, directory, bytes, 0));
}

/** Makes a symbolic link with exactly these bytes as its target. @throws KernelError */
export function symlinkAt(target: Name, directory: number, name: Name, hook: OperationHook = proceed): void {
  const content = cString(target, "symlinkat");
  const bytes = cString(name, "symlinkat");
  kernelCall("symlinkat", hook, { path: target, dest: name }, () => c.symlinkat(content, directory, bytes));
}

/** The target of a symbolic link. @throws KernelError */
export function readLinkAt(directory: number, name: Name, hook: OperationHook = proceed): Buffer {
  const bytes = cString(name, "readlinkat");
  const target = Buffer.alloc(pathMax);
  const length = kernelCall("readlinkat", hook, { path: name }, () => c.readlinkat(directory, bytes, target, pathMax));
  return target.subarray(0, length);
}

/** Makes a device, FIFO or socket node; `mode` holds the file type too, and the process's umask applies. @throws KernelError */
export function makeNodeAt(
  directory: number,
  name: Name,
  mode: number,
  device: readonly [major: number, minor: number],
  hook: OperationHook = proceed,
): void {
  const bytes = cString(name, "mknodat");
  kernelCall("mknodat", hook, { path: name }, () => c.mknodat(directory, bytes, mode, deviceNumber(device)));
}

/** glibc's makedev: the kernel's 64-bit number, of which mknod takes 12 bits of major and 20 of minor. */
function deviceNumber([major, minor]: readonly [number, number]): bigint {
  const high = BigInt(major >>> 0);
  const low = BigInt(minor >>> 0);
  return ((high & 0xfffn) << 8n) | ((high & ~0xfffn) << 32n) | (low & 0xffn) | ((low & ~0xffn) << 12n);
}

/** Changes owner and group of the very file that is named. @throws KernelError */
export function changeOwnerAt(
  directory: number,
  name: Name,
  uid: number,
  gid: number,
  hook: OperationHook = proceed,
): void {
  const bytes = cString(name, "fchownat");
  kernelCall("fchownat", hook, { path: name }, () => c.fchownat(directory, bytes, uid, gid, AT_SYMLINK_NOFOLLOW));
}

/** Changes the mode. The caller must know that the name is not a symbolic link: the kernel would follow it. @throws KernelError */
export function changeModeAt(directory: number, name: Name, mode: number, hook: OperationHook = proceed): void {
  const bytes = cString(name, "fchmodat");
  kernelCall("fchmodat", hook, { path: name }, () => c.fchmodat(directory, bytes, mode, 0));
}

const nanosecondsPerSecond = 1_000_000_000n;

/** Sets both times, nanoseconds since 1970, of the very file that is named. @throws KernelError */
export function changeTimesAt(
  directory: number,
  name: Name,
  atime: bigint,
  mtime: bigint,
  hook: OperationHook = proceed,
): void {
  const bytes = cString(name, "utimensat");
  const times = Buffer.alloc(32);
  for (const [index, time] of [atime, mtime].entries()) {
    // The nanoseconds of a time before 1970 still count forward from its second.
    const nanoseconds = ((time % nanosecondsPerSecond) + nanosecondsPerSecond) % nanosecondsPerSecond;
    times.writeBigInt64LE((time - nanoseconds) / nanosecondsPerSecond, index * 16);
    times.writeBigInt64LE(nanoseconds, index * 16 + 8);
  }
  kernelCall("utimensat", hook, { path: name }, () => c.utimensat(directory, bytes, times, AT_SYMLINK_NOFOLLOW));
}

const statusBuffer = Buffer.alloc(256);

/** The status of the very file that is named; of `directory` itself when `name` is empty. @throws KernelError */
export function statusAt(directory: number, name: Name, hook: OperationHook = proceed): Status {
  const bytes = cString(name, "statx");
  const flags = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH;
  kernelCall("statx", hook, { path: name }, () => c.statx(directory, bytes, flags, STATX_BASIC_STATS, statusBuffer));
  const b = statusBuffer;
  return {
    links: b.readUInt32LE(16),
    uid: b.readUInt32LE(20),
    gid: b.readUInt32LE(24),
    mode: b.readUInt16LE(28),
    inode: b.readBigUInt64LE(32),
    size: Number(b.readBigUInt64LE(40)),
    blocks: Number(b.readBigUInt64LE(48)),
    atime: b.readBigInt64LE(64) * nanosecondsPerSecond + BigInt(b.readUInt32LE(72)),
    mtime: b.readBigInt64LE(112) * nanosecondsPerSecond + BigInt(b.readUInt32LE(120)),
    rdev: [b.readUInt32LE(128), b.readUInt32LE(132)],
    device: [b.readUInt32LE(136), b.readUInt32LE(140)],
  };
}

/** The same, or undefined where there is no such name. @throws KernelError for anything else */
export function statusIfAny(directory: number, name: Name, hook: OperationHook = proceed): Status | undefined {
  try {
    return statusAt(directory, name, hook);
  } catch (thrown) {
    if (errorCode(thrown) === "ENOENT") return undefined;
    throw thrown;
  }
}
