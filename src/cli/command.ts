/** What a sub-command of `shiplog` is, and what it is given. */
import type { ParseArgsOptionsConfig } from "node:util";
import type { CollectionDefinition } from "../wire/gen/shiplog/collection/v1/collection.ts";
import type { LogDefinition } from "../wire/gen/shiplog/events/v1/log.ts";
import type { QueryDefinition } from "../wire/gen/shiplog/query/v1/query.ts";
import type { Connection, ServiceClient } from "./client.ts";
import type { Output } from "./output.ts";

export interface Context {
  readonly out: Output;
  readonly json: boolean;
  /** The namespace to look in, after flag, environment and default. */
  readonly namespace: string;
  /** The namespace only where a flag names one: for commands that otherwise show every namespace. */
  readonly namespaceFlag: string | undefined;
  /** The daemon's log; connects at the first call. */
  readonly log: ServiceClient<typeof LogDefinition>;
  /** Its collections and checks. */
  readonly collection: ServiceClient<typeof CollectionDefinition>;
  /** Its tables, by paths. */
  readonly query: ServiceClient<typeof QueryDefinition>;
  /** Any of its services; calls carry the headers. */
  readonly service: Connection["service"];
}

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** All that `--help` prints. */
  readonly help: string;
  /** Its own flags, as node:util's parseArgs takes them; names mean the same in every command. */
  readonly flags: ParseArgsOptionsConfig;
  /** Resolves with the exit status. @throws UsageError, Refusal, or a ServiceError of the call. */
  run(context: Context, flags: Readonly<Record<string, string | boolean | undefined>>, operands: readonly string[]): Promise<number>;
}

export const ExitStatus = {
  fine: 0,
  /** The answer is a problem: unknown entity, damage, an unreachable daemon. */
  problem: 1,
  /** The command line was not understood. */
  usage: 2,
} as const;

/** The command line was not understood. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What was asked for is not there; the message says so. */
export class Refusal extends Error {
  override readonly name = "Refusal";
}

/** @throws UsageError unless the text is a whole number that can be a position. */
export function parsePosition(text: string, flag: string): bigint {
  if (!/^\d{1,19}$/.test(text)) throw new UsageError(`${flag} takes a position (a number from 0), not "${text}"`);
  return BigInt(text);
}
