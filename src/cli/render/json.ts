/**
 * Facts and rows as JSON, one object a line, for programs. Bytes are base64, times RFC 3339 in UTC with nanoseconds, and integers that
 * JSON's readers would round are strings.
 */
import type { Fact, Row } from "../../wire/gen/shiplog/events/v1/log.ts";
import type { Row as QueryRow } from "../../wire/gen/shiplog/query/v1/query.ts";
import { decode, type Value } from "./fields.ts";
import { utcTime } from "./time.ts";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export const factJson = (fact: Fact): string =>
  JSON.stringify({
    position: integer(fact.position),
    time: utcTime(fact.timeUnixNano),
    namespace: fact.namespace,
    stream: fact.stream,
    version: integer(fact.streamVersion),
    type: fact.type,
    principal: fact.principal ?? null,
    request: fact.requestId,
    cause: fact.cause === undefined ? null : integer(fact.cause),
    data: json(decode(fact.data)),
  });

export const rowJson = (row: Row): string =>
  JSON.stringify({
    table: row.table,
    namespace: row.namespace,
    key: row.key,
    version: integer(row.streamVersion),
    position: integer(row.position),
    value: json(decode(row.value)),
  });

export const queryRowJson = (row: QueryRow): string =>
  JSON.stringify({
    path: row.path,
    namespace: row.namespace,
    kind: row.kind,
    key: row.key,
    version: integer(row.version),
    position: integer(row.position),
    created: row.createdUnixNano === undefined ? null : utcTime(row.createdUnixNano),
    updated: row.updatedUnixNano === undefined ? null : utcTime(row.updatedUnixNano),
    value: json(decode(row.value)),
  });

/** A number where JSON's readers keep it exact, a string of digits otherwise. */
export const integer = (value: bigint): number | string =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : String(value);

function json(value: Value): Json {
  if (typeof value === "bigint") return integer(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return value.map(json);
  if (typeof value !== "object" || value === null) return value as Json;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, json(field)]));
}
