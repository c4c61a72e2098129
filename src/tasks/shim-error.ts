/**
 * What a failed call to a shim comes to for a client: containerd's error class, and its text with the class named at the end as
 * containerd does, since clients match on both (containerd: errdefs/grpc.go FromGRPC and ToGRPC, which every shim error passes).
 */
import { ErrorClass, ShiplogError } from "../error.ts";
import { StatusCode, TtrpcClosed, TtrpcError } from "../shim/ttrpc/mod.ts";

interface ClassText {
  readonly class: ErrorClass;
  readonly text: string;
}

const unknown: ClassText = { class: ErrorClass.Unknown, text: "unknown" };

const classOfCode: Readonly<Record<number, ClassText>> = {
  [StatusCode.InvalidArgument]: { class: ErrorClass.InvalidArgument, text: "invalid argument" },
  [StatusCode.NotFound]: { class: ErrorClass.NotFound, text: "not found" },
  [StatusCode.AlreadyExists]: { class: ErrorClass.AlreadyExists, text: "already exists" },
  [StatusCode.FailedPrecondition]: { class: ErrorClass.FailedPrecondition, text: "failed precondition" },
  [StatusCode.Unavailable]: { class: ErrorClass.Unavailable, text: "unavailable" },
  [StatusCode.Unimplemented]: { class: ErrorClass.Unimplemented, text: "not implemented" },
  [StatusCode.Canceled]: { class: ErrorClass.Canceled, text: "context canceled" },
  [StatusCode.DeadlineExceeded]: { class: ErrorClass.DeadlineExceeded, text: "context deadline exceeded" },
};

/** The error for a client; `prefix` says what was being done. A ShiplogError keeps its class. */
export function shimFailure(error: unknown, prefix = ""): ShiplogError {
  const lead = prefix === "" ? "" : `${prefix}: `;
  if (error instanceof ShiplogError) {
    if (prefix === "") return error;
    return new ShiplogError(error.class, lead + error.message, { reason: error.reason, cause: error });
  }
  if (error instanceof TtrpcClosed) {
    return new ShiplogError(ErrorClass.Unavailable, `${lead}ttrpc: closed: unavailable`, {
      reason: "ShimLost",
      cause: error,
    });
  }
  if (error instanceof TtrpcError) {
    const known = classOfCode[error.code] ?? unknown;
    const text = error.message === known.text ? "" : error.message.replace(new RegExp(`: ${known.text}$`), "");
    const message = lead + (text === "" ? known.text : `${text}: ${known.text}`);
    return new ShiplogError(known.class, message, { reason: `Shim${known.class}`, cause: error });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new ShiplogError(ErrorClass.Unknown, lead + message, { cause: error });
}

/** True when the shim answered that there is no such container or process. */
export function isShimNotFound(error: unknown): boolean {
  return error instanceof TtrpcError && error.code === StatusCode.NotFound;
}

/** True when it is not known whether the shim did what it was asked: no reply came. */
export function isNoReply(error: unknown): boolean {
  return error instanceof TtrpcClosed || (error instanceof TtrpcError && error.code === StatusCode.DeadlineExceeded);
}

export function isShimAlreadyExists(error: unknown): boolean {
  return error instanceof TtrpcError && error.code === StatusCode.AlreadyExists;
}
