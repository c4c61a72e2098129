/**
 * The two ways in which a ttrpc call fails: the call got a status, or the connection ended.
 *
 * Owns the codes, which are gRPC's. Which of containerd's error classes a code means is decided elsewhere.
 */
import type { Any } from "../../wire/gen/google/protobuf/any.ts";

/** gRPC's status codes. */
export const StatusCode = {
  Ok: 0,
  Canceled: 1,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  NotFound: 5,
  AlreadyExists: 6,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  FailedPrecondition: 9,
  Aborted: 10,
  OutOfRange: 11,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  DataLoss: 15,
  Unauthenticated: 16,
} as const;

/** What a failed call comes to on the wire. `code` is one of StatusCode, or a number from a peer that knows more. */
export interface CallStatus {
  readonly code: number;
  readonly message: string;
  readonly details: readonly Any[];
}

/**
 * A call that failed and left the connection usable: the peer replied with a status, or this side refused it (too large,
 * too many, out of time, canceled) with the code that the peer would have used. `message` is the status's own, verbatim,
 * since clients of containerd match on wording.
 */
export class TtrpcError extends Error implements CallStatus {
  override readonly name = "TtrpcError";
  readonly code: number;
  readonly details: readonly Any[];

  constructor(code: number, message: string, options: { details?: readonly Any[]; cause?: unknown } = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.details = options.details ?? [];
  }
}

/** The connection could not be made or has ended; whether the call was carried out is not known. */
export class TtrpcClosed extends Error {
  override readonly name = "TtrpcClosed";
}
