/**
 * A fact as bytes and back: `docs/formats/log.md`, "Records". Owns the order of a record's fields. What it writes is MessagePack as
 * the specification has it, never one of the encoder's own extensions, and the same fact always gives the same bytes.
 */
import { Packr, Unpackr } from "msgpackr";
import { FactUnstorable } from "./errors.ts";
import type { Fact, NewFact, Position, Principal } from "./fact.ts";
import { assertStorable } from "./storable.ts";

/** A record's length is written in two bytes, as in the entry bundles of C2SP tlog-tiles. */
export const recordBytesMax = 65_535;

/** Stands in for `data` where the payload is in a file of its own. */
export class Attached {
  /** `sha256:` and 64 hex digits. */
  readonly digest: string;
  readonly size: number;

  constructor(digest: string, size: number) {
    this.digest = digest;
    this.size = size;
  }
}

const packr = new Packr({
  useRecords: false,
  variableMapSize: true,
  skipValues: [undefined],
  useToJSON: false,
} as ConstructorParameters<typeof Packr>[0]);

const unpackr = new Unpackr({
  useRecords: false,
  mapsAsObjects: true,
  int64AsType: "bigint",
  copyBuffers: true,
} as unknown as ConstructorParameters<typeof Unpackr>[0]);

const fieldsInRecord = 12;

/** The encoder keeps its buffer once it has grown for a large value, and every later record would pin one as large. */
const encoderBytesMax = 1 << 20;

function pack(value: unknown): Buffer {
  const bytes = packr.pack(value);
  if (bytes.buffer.byteLength > encoderBytesMax) packr.useBuffer(Buffer.allocUnsafeSlow(1 << 16));
  return bytes;
}

/** A payload as an attachment holds it: the bytes that `data` would have had inside the record. */
export function encodeData(data: unknown): Buffer {
  assertStorable(data, "data");
  return pack(data);
}

export function decodeData(bytes: Uint8Array): unknown {
  return unpackr.unpack(bytes);
}

/** MessagePack integers: the encoder writes numbers beyond 32 bits as floats, bigints as 64-bit integers. */
function integer(value: number): number | bigint {
  return value > 0xffff_ffff ? BigInt(value) : value;
}

function assertInteger(value: number, where: string, minimum: number): void {
  if (!Number.isSafeInteger(value) || value < minimum)
    throw new FactUnstorable(where, `${value} is no integer from ${minimum} on`);
}

/** Encodes a fact for its position, with its own data inline or with `attached` in its place. Errors: FactUnstorable. */
export function encodeRecord(fact: NewFact, position: Position, attached?: Attached): Buffer {
  const { principal } = fact;
  assertInteger(fact.version, "version", 0);
  assertInteger(fact.schema, "schema", 1);
  assertInteger(principal.uid, "principal.uid", 0);
  assertInteger(principal.gid, "principal.gid", 0);
  assertInteger(principal.pid, "principal.pid", 0);
  if (fact.cause !== undefined) assertInteger(fact.cause, "cause", 0);
  if (typeof fact.time !== "bigint") throw new FactUnstorable("time", "not a bigint");
  for (const name of ["namespace", "stream", "type", "request"] as const) {
    if (typeof fact[name] !== "string") throw new FactUnstorable(name, "not a string");
    assertStorable(fact[name], name);
  }
  assertStorable(fact.time, "time");
  assertStorable(principal.client, "principal.client");
  if (attached === undefined) assertStorable(fact.data, "data");
  return pack([
    integer(position),
    fact.time,
    fact.namespace,
    fact.stream,
    integer(fact.version),
    fact.type,
    integer(fact.schema),
    [integer(principal.uid), integer(principal.gid), integer(principal.pid), principal.client ?? null],
    fact.request,
    fact.cause === undefined ? null : integer(fact.cause),
    attached === undefined ? (fact.data ?? null) : null,
    attached === undefined ? null : [attached.digest, integer(attached.size)],
  ]);
}

const range = { start: 0, end: 0 };

/** Decodes the record at `start` up to `end`. Where the payload is attached, `data` is an `Attached`. Throws when it is no record. */
export function decodeRecord(source: Uint8Array, start: number, end: number): Fact {
  range.start = start;
  range.end = end;
  const fields: unknown = unpackr.unpack(source, range);
  if (!Array.isArray(fields) || fields.length !== fieldsInRecord) throw new TypeError("a record has 12 fields");
  const [position, time, namespace, stream, version, type, schema, principal, request, cause, data, attachment] =
    fields;
  const fact = {
    position: toInteger(position),
    time: typeof time === "bigint" ? time : BigInt(toInteger(time)),
    namespace: toText(namespace),
    stream: toText(stream),
    version: toInteger(version),
    type: toText(type),
    schema: toInteger(schema),
    principal: toPrincipal(principal),
    request: toText(request),
    data: attachment === null ? data : toAttached(attachment),
  };
  return cause === null ? fact : { ...fact, cause: toInteger(cause) };
}

function toInteger(value: unknown): number {
  const number = typeof value === "bigint" ? Number(value) : value;
  if (!Number.isSafeInteger(number)) throw new TypeError(`${String(value)} is no integer`);
  return number as number;
}

function toText(value: unknown): string {
  if (typeof value !== "string") throw new TypeError(`${typeof value} in the place of a string`);
  return value;
}

function toPrincipal(value: unknown): Principal {
  if (!Array.isArray(value) || value.length !== 4) throw new TypeError("a principal has 4 fields");
  const principal = { uid: toInteger(value[0]), gid: toInteger(value[1]), pid: toInteger(value[2]) };
  return value[3] === null ? principal : { ...principal, client: toText(value[3]) };
}

function toAttached(value: unknown): Attached {
  if (!Array.isArray(value) || value.length !== 2) throw new TypeError("an attachment has 2 fields");
  return new Attached(toText(value[0]), toInteger(value[1]));
}
