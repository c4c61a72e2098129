/**
 * Errors that a client may see. containerd's error classes are the taxonomy; the edge turns a class into a gRPC status in one place.
 */

/** containerd's error classes, as named in its errdefs package, and the few more that gRPC adds. */
export const ErrorClass = {
  InvalidArgument: "InvalidArgument",
  NotFound: "NotFound",
  AlreadyExists: "AlreadyExists",
  PermissionDenied: "PermissionDenied",
  ResourceExhausted: "ResourceExhausted",
  FailedPrecondition: "FailedPrecondition",
  Aborted: "Aborted",
  OutOfRange: "OutOfRange",
  Unimplemented: "Unimplemented",
  Internal: "Internal",
  Unavailable: "Unavailable",
  DataLoss: "DataLoss",
  DeadlineExceeded: "DeadlineExceeded",
  Canceled: "Canceled",
  Unknown: "Unknown",
} as const;
export type ErrorClass = (typeof ErrorClass)[keyof typeof ErrorClass];

/** An operating error: a class for the client, a stable reason for programs, a message that says what was being done. */
export class ShiplogError extends Error {
  override readonly name = "ShiplogError";
  readonly class: ErrorClass;
  /** Stable, for example `TaskNotRunning`; defaults to the class. */
  readonly reason: string;
  /** The message is a whole one, as a few of containerd's are: clients get it without the text of the class at its end. */
  readonly whole: boolean;

  constructor(errorClass: ErrorClass, message: string, options: { reason?: string; cause?: unknown; whole?: boolean } = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.class = errorClass;
    this.reason = options.reason ?? errorClass;
    this.whole = options.whole ?? false;
  }
}
