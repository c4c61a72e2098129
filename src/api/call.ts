/**
 * What a service handler sees of a call. Handlers know no transport: a unary handler is `(request, call) → Promise<reply>`, streams are
 * async iterables. The transport behind this can be replaced without touching a service.
 */
import type { Position, Principal } from "../events/fact.ts";
import type { Origin } from "../ledger.ts";

export interface Call {
  readonly principal: Principal;
  /** Identifies this request in every fact that it leads to. */
  readonly request: string;
  /** Request metadata, keys in lower case, first value of each. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Aborted when the client goes away, its deadline passes, or the daemon stops. */
  readonly signal: AbortSignal;
  /**
   * The namespace header.
   * @throws ShiplogError FailedPrecondition when it is missing, InvalidArgument when it is malformed.
   */
  namespace(): string;
  /** The lease header, if any. */
  readonly lease: string | undefined;
  /** `{ namespace, principal, request }` for the ledger. */
  origin(): Origin;
  /** Set by the handler before its reply (a stream: before its first message); sent as `shiplog-position`. */
  position: Position | undefined;
}
