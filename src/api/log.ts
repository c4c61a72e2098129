/** shiplog.events.v1.Log: the log read back, the tables as of a position, and the means to check both. */
import { ShiplogError } from "../error.ts";
import { encodeData, type Fact, type Log, type Position } from "../events/mod.ts";
import { parseStream, type Tables } from "../projections/mod.ts";
import type { VerifyReport } from "../verify.ts";
import type { log as wire } from "../wire/mod.ts";
import type { Service } from "./service.ts";

/** Bytes of fact data or row values in one message, well below what a message may hold. */
const MESSAGE_BYTES_TARGET = 1024 * 1024;
/** Entries in one message. */
const MESSAGE_ENTRIES_MAX = 1_000;

export interface LogServiceDependencies {
  readonly log: Log;
  readonly tables: Tables;
  readonly verify: () => Promise<VerifyReport>;
}

export function logService({ log, tables, verify }: LogServiceDependencies): Service<typeof wire.LogDefinition> {
  /** The facts of one stream, found by the versions of its row rather than by reading the whole log. */
  async function* streamFacts(namespace: string, stream: string, from: Position): AsyncIterable<readonly Fact[]> {
    const name = parseStream(stream);
    if (name === undefined) return;
    for await (const { position } of tables.versions(name.kind, namespace, name.key)) {
      if (position >= from) yield [await log.get(position)];
    }
  }

  async function positionAt(time: bigint): Promise<Position> {
    let next = log.oldest;
    for await (const facts of log.read({ from: log.oldest })) {
      for (const fact of facts) if (fact.time <= time) next = fact.position + 1;
    }
    return next;
  }

  return {
    async *read(request, call) {
      const from = Math.max(Number(request.fromPosition), 0);
      const { namespace, stream, follow } = request;
      const limit = request.limit === 0n ? Number.POSITIVE_INFINITY : Number(request.limit);
      call.position = log.durableNext;
      const batches = follow
        ? log.follow({ from, signal: call.signal })
        : namespace !== "" && stream !== ""
          ? streamFacts(namespace, stream, from)
          : log.read({ from, signal: call.signal });
      let sent = 0;
      for await (const batch of batches) {
        const wanted = batch.filter(
          (fact) => (namespace === "" || fact.namespace === namespace) && (stream === "" || fact.stream === stream),
        );
        for (const facts of chunks(wanted.slice(0, limit - sent).map(factMessage), ({ data }) => data.length)) {
          sent += facts.length;
          yield { facts, nextPosition: facts.at(-1)!.position + 1n };
        }
        if (sent >= limit) return;
      }
    },

    async head(_request, call) {
      call.position = log.durableNext;
      return { logId: log.logId, nextPosition: BigInt(log.durableNext), oldestPosition: BigInt(log.oldest) };
    },

    async *stateAt(request, call) {
      const { durableNext } = log;
      const next =
        request.timeUnixNano !== undefined
          ? await positionAt(request.timeUnixNano)
          : request.position !== undefined
            ? Number(request.position)
            : durableNext;
      if (next > durableNext) {
        throw new ShiplogError("OutOfRange", `state at position ${next}: the log ends at position ${durableNext}`);
      }
      call.position = next;
      const position = BigInt(next);
      let rows: wire.Row[] = [];
      let bytes = 0;
      for await (const row of tables.rowsAt(next)) {
        if (request.namespace !== "" && row.namespace !== request.namespace) continue;
        const value = encodeData(row.row);
        rows.push({
          table: row.table,
          namespace: row.namespace,
          key: row.key,
          streamVersion: BigInt(row.version),
          position: BigInt(row.position),
          value,
        });
        bytes += value.length;
        if (bytes >= MESSAGE_BYTES_TARGET || rows.length >= MESSAGE_ENTRIES_MAX) {
          yield { position, rows };
          rows = [];
          bytes = 0;
        }
      }
      if (rows.length > 0) yield { position, rows };
    },

    async verify(_request, call) {
      call.position = log.durableNext;
      const report = await verify();
      return {
        facts: BigInt(report.facts),
        segments: BigInt(report.segments),
        rows: BigInt(report.rows),
        problems: report.problems.map(({ kind, message, file, offset, position }) => ({
          kind,
          message,
          file: file ?? "",
          offset: BigInt(offset ?? 0),
          position: BigInt(position ?? 0),
        })),
      };
    },

    async rebuild(_request, call) {
      const started = process.hrtime.bigint();
      const { facts, rows, identical } = await tables.rebuild();
      call.position = facts;
      return {
        facts: BigInt(facts),
        rows: BigInt(rows),
        durationNano: process.hrtime.bigint() - started,
        identical,
      };
    },
  };
}

function factMessage(fact: Fact): wire.Fact {
  return {
    position: BigInt(fact.position),
    timeUnixNano: fact.time,
    namespace: fact.namespace,
    stream: fact.stream,
    streamVersion: BigInt(fact.version),
    type: fact.type,
    schemaVersion: fact.schema,
    principal: { ...fact.principal, client: fact.principal.client ?? "" },
    requestId: fact.request,
    ...(fact.cause === undefined ? {} : { cause: BigInt(fact.cause) }),
    data: encodeData(fact.data),
  };
}

/** Splits a list into runs of bounded size. */
function* chunks<T>(entries: readonly T[], size: (entry: T) => number): Iterable<T[]> {
  let run: T[] = [];
  let bytes = 0;
  for (const entry of entries) {
    run.push(entry);
    bytes += size(entry);
    if (bytes < MESSAGE_BYTES_TARGET && run.length < MESSAGE_ENTRIES_MAX) continue;
    yield run;
    run = [];
    bytes = 0;
  }
  if (run.length > 0) yield run;
}
