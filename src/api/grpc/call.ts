/**
 * A gRPC call as handlers see it. Owns the reading of containerd's headers and the life of the call's signal; the metadata, the signal
 * and the rest are made only when asked for, for most calls want few of them. It must never decide what a service answers.
 */
import {
  type Deadline,
  Metadata,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
} from "@grpc/grpc-js";
import type { EventEmitter } from "node:events";
import { ShiplogError } from "../../error.ts";
import type { Position, Principal } from "../../events/fact.ts";
import type { Origin } from "../../ledger.ts";
import type { Call } from "../call.ts";
import { identifier } from "../identifier.ts";

export type Unary = ServerUnaryCall<unknown, Buffer>;
export type Writable = ServerWritableStream<unknown, Buffer>;
export type Duplex = ServerDuplexStream<unknown, Buffer>;

/** What all kinds of call have in common. */
export type Surface = Pick<Unary, "cancelled" | "metadata" | "getPeer" | "getDeadline" | "sendMetadata"> &
  Pick<EventEmitter, "once">;

const NAMESPACE_HEADER = "containerd-namespace";
const LEASE_HEADER = "containerd-lease";
const POSITION_HEADER = "shiplog-position";

/** The calls whose handlers listen to their signals, for the server to tell them that it stops. */
export type ListeningCalls = Set<GrpcCall>;

export interface GrpcCallParts {
  readonly surface: Surface;
  /** Whether the reply is a stream. */
  readonly streams: boolean;
  readonly principal: Principal;
  readonly request: string;
  readonly listening: ListeningCalls;
}

export class GrpcCall implements Call {
  readonly principal: Principal;
  readonly request: string;
  readonly #surface: Surface;
  readonly #streams: boolean;
  readonly #listening: ListeningCalls;
  #controller: AbortController | undefined;
  #metadata: Map<string, string> | undefined;
  #namespace: string | undefined;
  #position: Position | undefined;

  constructor({ surface, streams, principal, request, listening }: GrpcCallParts) {
    this.#surface = surface;
    this.#streams = streams;
    this.principal = principal;
    this.request = request;
    this.#listening = listening;
  }

  get position(): Position | undefined {
    return this.#position;
  }

  set position(position: Position | undefined) {
    this.#position = position;
    if (this.#streams && position !== undefined) this.#surface.sendMetadata(positionMetadata(position));
  }

  get metadata(): ReadonlyMap<string, string> {
    if (this.#metadata === undefined) {
      const entries = Object.entries(this.#surface.metadata.getMap());
      this.#metadata = new Map(entries.filter((entry): entry is [string, string] => typeof entry[1] === "string"));
    }
    return this.#metadata;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#surface.cancelled) {
        this.#controller.abort(this.gone());
      } else {
        this.#listening.add(this);
        this.#surface.once("cancelled", () => this.abort(this.gone()));
      }
    }
    return this.#controller.signal;
  }

  get lease(): string | undefined {
    return this.#header(LEASE_HEADER);
  }

  namespace(): string {
    if (this.#namespace === undefined) {
      const namespace = this.#header(NAMESPACE_HEADER);
      if (namespace === undefined || namespace === "") {
        throw new ShiplogError("FailedPrecondition", "namespace is required: failed precondition", {
          reason: "NamespaceRequired",
        });
      }
      this.#namespace = identifier(namespace, "namespace validation");
    }
    return this.#namespace;
  }

  origin(): Origin {
    return { namespace: this.namespace(), principal: this.principal, request: this.request };
  }

  /** Aborts the signal, unless the handler is done. */
  abort(reason: ShiplogError): void {
    if (this.#listening.delete(this)) this.#controller?.abort(reason);
  }

  /** The handler is done: from here on its signal keeps still. */
  finish(): void {
    if (this.#controller !== undefined) this.#listening.delete(this);
  }

  /** Why the client no longer waits, in the words of Go's contexts. */
  gone(): ShiplogError {
    return passed(this.#surface.getDeadline())
      ? new ShiplogError("DeadlineExceeded", "context deadline exceeded")
      : new ShiplogError("Canceled", "context canceled");
  }

  /** Go's clients add a header each time a context is given a namespace, newest first; HTTP/2 in Node joins them by a comma. */
  #header(name: string): string | undefined {
    const value = this.#surface.metadata.get(name)[0];
    if (typeof value !== "string") return undefined;
    const comma = value.indexOf(", ");
    return comma === -1 ? value : value.slice(0, comma);
  }
}

/** The initial metadata of a reply. */
export function positionMetadata(position: Position): Metadata {
  const metadata = new Metadata();
  metadata.set(POSITION_HEADER, String(position));
  return metadata;
}

function passed(deadline: Deadline): boolean {
  return Number(deadline) <= Date.now();
}
