/**
 * Errors to statuses: the one place where a class becomes a gRPC code, for gRPC and ttrpc alike. containerd's clients rebuild their
 * typed errors from the code and strip the class's text from the end of the message, so it has to be there.
 * Source: errdefs/grpc.go.
 */
import { type ErrorClass, ShiplogError } from "../error.ts";

export interface RpcFailure {
  /** google.rpc.Code. */
  readonly code: number;
  readonly message: string;
}

/** Characters of a status message at most: it travels in a header, and a client may refuse a large header block. */
export const STATUS_MESSAGE_LENGTH_MAX = 16_384;

/** Code of each class, and the text that containerd gives to the classes that it has a typed error for. */
const classes: Readonly<Record<ErrorClass, readonly [code: number, text?: string]>> = {
  Canceled: [1, "context canceled"],
  Unknown: [2],
  InvalidArgument: [3, "invalid argument"],
  DeadlineExceeded: [4, "context deadline exceeded"],
  NotFound: [5, "not found"],
  AlreadyExists: [6, "already exists"],
  PermissionDenied: [7],
  ResourceExhausted: [8],
  FailedPrecondition: [9, "failed precondition"],
  Aborted: [10],
  OutOfRange: [11],
  Unimplemented: [12, "not implemented"],
  Internal: [13],
  Unavailable: [14, "unavailable"],
  DataLoss: [15],
};

/** The class that a code of another process stands for. */
export function classOfCode(code: number): ErrorClass {
  const found = Object.entries(classes).find(([, [each]]) => each === code);
  return (found?.[0] ?? "Unknown") as ErrorClass;
}

/** The status of anything thrown. What is no ShiplogError is Unknown with its text, as Go's plain errors are. */
export function failureOf(error: unknown): RpcFailure {
  if (!(error instanceof ShiplogError))
    return { code: 2, message: bounded(error instanceof Error ? error.message : String(error)) };
  const [code, text] = classes[error.class];
  const message = bounded(error.message);
  if (text === undefined || error.whole || message === text || message.endsWith(`: ${text}`)) return { code, message };
  return { code, message: message === "" ? text : `${message}: ${text}` };
}

/** Whether the error is one that a client may see as it is; anything else is a fault of ours and wants to be logged. */
export function isExpected(error: unknown): boolean {
  return error instanceof ShiplogError;
}

/** A lone surrogate has no UTF-8, and would make the header's encoding throw. */
function bounded(message: string): string {
  return message.slice(0, STATUS_MESSAGE_LENGTH_MAX).toWellFormed();
}
