/**
 * The shape of a fact: what is appended, and what is read back. Owns no behaviour. Every room may import these types; nothing here
 * may import a room.
 */

/** A fact's place in the whole log: dense, from 0, never reused. */
export type Position = number;

/** Who caused a fact: the peer of the socket the request came in on, or the daemon itself. */
export interface Principal {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  /** A name for the peer where there is one: `shiplogd` for the daemon's own doings, `shim` for a shim's reports. */
  readonly client?: string;
}

/** What a payload may hold: whatever MessagePack holds without extensions. `undefined` is never stored. */
export type Data =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly Data[]
  | { readonly [key: string]: Data | undefined };

/** A fact as a decider states it: what happened, without when, where in the log, or who. */
export interface Stated<Type extends string = string, Payload = unknown> {
  readonly type: Type;
  readonly data: Payload;
}

/** A fact ready to be appended to a stream at a version. */
export interface NewFact extends Stated {
  /** Unix nanoseconds, for people; order is the position's alone. */
  readonly time: bigint;
  readonly namespace: string;
  /** `kind/id`, for example `task/redis`. */
  readonly stream: string;
  /** The fact's number within its stream, dense from 0, never repeated, also when the entity is deleted and made again. */
  readonly version: number;
  /** Version of the payload's schema, from 1. */
  readonly schema: number;
  readonly principal: Principal;
  readonly request: string;
  /** The fact that led to this one. */
  readonly cause?: Position;
}

/** A fact as the log gives it back. */
export interface Fact extends NewFact {
  readonly position: Position;
}
