/** Errors of opening streams in the words of containerd's shim, which clients and their users know. Owns only the wording. */
import { errorCode, kernelError } from "../../platform/mod.ts";

/** `<operation> <path>: no such file or directory`, as Go says it. */
export function goPathError(operation: string, path: string, cause: unknown): Error {
  return new Error(`${operation} ${path}: ${goErrorText(cause)}`, { cause });
}

/** What Go says for an error of a system call: the C library's text, in lower case. Other errors speak for themselves. */
export function goErrorText(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const number = "errno" in thrown && typeof thrown.errno === "number" ? -thrown.errno : 0;
  if (errorCode(thrown) === undefined || number <= 0) return thrown.message;
  // "ENOENT: No such file or directory, call"
  const text = kernelError(number, "call").message.replace(/^\w+: (.*), call$/, "$1");
  return text.charAt(0).toLowerCase() + text.slice(1);
}
