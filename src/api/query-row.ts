/** Rows and their changes as shiplog.query.v1 tells them. */
import type { AnyValue } from "../events/catalogue.ts";
import { encodeData, type Fact } from "../events/mod.ts";
import type { LivingRow, RowName } from "../projections/mod.ts";
import type { query as wire } from "../wire/mod.ts";
import { wireAny } from "./any.ts";
import { pathOf } from "./query-path.ts";

/** What rows have in common, each as far as its table keeps it. */
interface Kept {
  readonly createdAt?: bigint;
  readonly startedAt?: bigint;
  readonly updatedAt?: bigint;
  readonly value?: AnyValue;
}

export function rowMessage({ head, ...name }: LivingRow): wire.Row {
  const { createdAt, startedAt, updatedAt, value } = head.row as Kept;
  const created = createdAt ?? startedAt;
  return {
    ...named(name, head.version, head.position),
    ...(created !== undefined && { createdUnixNano: created }),
    ...(updatedAt !== undefined && { updatedUnixNano: updatedAt }),
    value: encodeData(head.row),
    entry: name.table === "entry" ? wireAny(value!) : undefined,
  };
}

/** `row` is undefined where the fact ended the entity. */
export function changeMessage(fact: Fact, name: RowName, row: unknown): wire.Change {
  const { version, position, type, time } = fact;
  const message =
    row === undefined
      ? { ...named(name, version, position), value: Buffer.alloc(0), entry: undefined }
      : rowMessage({ ...name, head: { version, position, row } });
  return { row: message, fact: type, timeUnixNano: time, ended: row === undefined };
}

const named = (name: RowName, version: number, position: number) => ({
  path: pathOf(name),
  namespace: name.namespace,
  kind: name.table,
  key: name.key,
  version: BigInt(version),
  position: BigInt(position),
});
