/**
 * Extended attributes of the very file that a path names, symbolic links included. Values are bytes, and so may names be. A path may go
 * through `/proc/self/fd/<descriptor>/<name>`, which is how a file below an open directory is meant.
 */
import { cString, kernelCall, libc } from "./kernel.ts";
import { errorCode } from "./errno.ts";
import { type OperationHook, proceed } from "./operation.ts";

const c = {
  lsetxattr: libc.func("int lsetxattr(const void *, const void *, const void *, size_t, int)"),
  lgetxattr: libc.func("intptr_t lgetxattr(const void *, const void *, void *, size_t)"),
  llistxattr: libc.func("intptr_t llistxattr(const void *, void *, size_t)"),
};

/** The kernel's own bounds: XATTR_SIZE_MAX and XATTR_LIST_MAX, both 64 KiB. */
const xattrBytesMax = 65_536;

/** Where each call answers; it is copied from before the next one. */
const answer = Buffer.allocUnsafeSlow(xattrBytesMax);

/** Sets or replaces one attribute. @throws KernelError, ENOTSUP where the file system or the name's class has none */
export function setXattr(
  path: string | Buffer,
  name: string | Buffer,
  value: Buffer,
  hook: OperationHook = proceed,
): void {
  const file = cString(path, "lsetxattr");
  const attribute = cString(name, "lsetxattr");
  kernelCall("lsetxattr", hook, { path }, () => c.lsetxattr(file, attribute, value, value.length, 0));
}

/** The value of one attribute, or undefined when the file has none of that name. @throws KernelError */
export function getXattr(
  path: string | Buffer,
  name: string | Buffer,
  hook: OperationHook = proceed,
): Buffer | undefined {
  const file = cString(path, "lgetxattr");
  const attribute = cString(name, "lgetxattr");
  try {
    const length = kernelCall("lgetxattr", hook, { path }, () => c.lgetxattr(file, attribute, answer, answer.length));
    return Buffer.from(answer.subarray(0, length));
  } catch (thrown) {
    if (errorCode(thrown) === "ENODATA") return undefined;
    throw thrown;
  }
}

/** The names of all attributes that the caller may see, in the file system's order. @throws KernelError */
export function listXattrs(path: string | Buffer, hook: OperationHook = proceed): string[] {
  const file = cString(path, "llistxattr");
  const length = kernelCall("llistxattr", hook, { path }, () => c.llistxattr(file, answer, answer.length));
  if (length === 0) return [];
  return answer
    .subarray(0, length)
    .toString()
    .split("\0")
    .filter((name) => name !== "");
}
