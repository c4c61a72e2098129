/**
 * What the task service refuses and why: a ttrpc status, with the words of containerd's shim, since daemons and their clients match on them
 * (containerd: errdefs/grpc.go ToGRPC). Owns the words that name a class.
 */
import { type CallStatus, StatusCode, TtrpcError } from "./ttrpc/mod.ts";

const classTexts: Readonly<Record<number, string>> = {
  [StatusCode.InvalidArgument]: "invalid argument",
  [StatusCode.NotFound]: "not found",
  [StatusCode.AlreadyExists]: "already exists",
  [StatusCode.FailedPrecondition]: "failed precondition",
  [StatusCode.Unimplemented]: "not implemented",
};

export class ShimError extends Error {
  override readonly name = "ShimError";
  readonly code: number;

  /** `text` without the class, which is put behind it as Go's wrapped errors have it. */
  constructor(code: number, text: string, options?: ErrorOptions) {
    const named = classTexts[code];
    super(named === undefined ? text : `${text}: ${named}`, options);
    this.code = code;
  }
}

/** Any other error is Unknown, as an error without a class is in containerd's shim. */
export function statusOf(error: unknown): CallStatus {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof ShimError || error instanceof TtrpcError ? error.code : StatusCode.Unknown;
  return { code, message, details: [] };
}
