/**
 * shiplog.query.v1.Query: every table by paths, and the entries that clients keep under names of their own. Owns who may see what, pages
 * and their tokens. A watch is a cursor into the log's files, so a slow one costs no memory and misses nothing.
 */
import { ShiplogError } from "../error.ts";
import type { Fact, Position } from "../events/mod.ts";
import type { Ledger } from "../ledger.ts";
import { quoted } from "../machines/mod.ts";
import { type LivingRow, rowNameOf, type Tables } from "../projections/mod.ts";
import type { query as wire } from "../wire/mod.ts";
import type { Call } from "./call.ts";
import { entryWrites } from "./query-entries.ts";
import { type PageStart, pageToken, readPageToken } from "./query-page.ts";
import { parsePath, parsePrefix, type Prefix } from "./query-path.ts";
import { changeMessage, rowMessage } from "./query-row.ts";
import type { Service } from "./service.ts";

/** Rows in one page. */
export const PAGE_ROWS_MAX = 1_000;
/** Bytes of row values in one message, well below what a message may hold; one row may go beyond. */
const MESSAGE_BYTES_TARGET = 1024 * 1024;
/** Changes in one message, and rows that are read for it at a time. */
const MESSAGE_CHANGES_MAX = 64;
/** Facts of others that a watch passes by before it tells its client how far it is. */
export const SILENT_FACTS_MAX = 10_000;

export interface QueryDependencies {
  readonly ledger: Ledger;
  readonly tables: Pick<Tables, "heads" | "look" | "rowAfter">;
  readonly log: { readonly durableNext: Position };
  /** Durable facts in order from a position on, and then as they come; ends when the signal is aborted. */
  readonly follow: (range: { readonly from: Position; readonly signal: AbortSignal }) => AsyncIterable<readonly Fact[]>;
}

export function queryService({ ledger, tables, log, follow }: QueryDependencies): Service<typeof wire.QueryDefinition> {
  /** The rows that the facts led to, as messages. */
  async function* changesIn(facts: readonly Fact[], prefix: Prefix): AsyncGenerator<wire.Change[], void> {
    const wanted = facts.flatMap((fact) => {
      const name = rowNameOf(fact);
      return name !== undefined && prefix.matches(name) ? [{ fact, name }] : [];
    });
    let changes: wire.Change[] = [];
    let bytes = 0;
    for (let start = 0; start < wanted.length; start += MESSAGE_CHANGES_MAX) {
      const some = wanted.slice(start, start + MESSAGE_CHANGES_MAX);
      const rows = await Promise.all(some.map(({ fact }) => tables.rowAfter(fact)));
      for (const [index, { fact, name }] of some.entries()) {
        const change = changeMessage(fact, name, rows[index]);
        changes.push(change);
        bytes += change.row!.value.length;
        if (bytes < MESSAGE_BYTES_TARGET && changes.length < MESSAGE_CHANGES_MAX) continue;
        yield changes;
        changes = [];
        bytes = 0;
      }
    }
    if (changes.length > 0) yield changes;
  }

  return {
    async get({ path }, call) {
      const name = parsePath(path);
      allow(call, path, name.namespace);
      const { next, value: head } = await ledger.read(() => tables.heads.find(name));
      call.position = next;
      if (head === undefined) throw new ShiplogError("NotFound", `path ${quoted(path)}`, { reason: "RowAbsent" });
      return { row: rowMessage({ ...name, head }) };
    },

    async list({ prefix: text, limit, pageToken: token }, call) {
      const prefix = parsePrefix(text);
      allow(call, text, prefix.namespace);
      const from: Partial<PageStart> = token === "" ? {} : readPageToken(token, text, log.durableNext);
      const rowsMax = limit === 0 ? PAGE_ROWS_MAX : Math.min(limit, PAGE_ROWS_MAX);
      return tables.look(async (look) => {
        const position = from.asOf ?? look.next;
        const rows: wire.Row[] = [];
        let bytes = 0;
        let last: LivingRow | undefined;
        let more = false;
        for await (const row of look.rows(prefix, from)) {
          more = rows.length >= rowsMax || bytes >= MESSAGE_BYTES_TARGET;
          if (more) break;
          const message = rowMessage(row);
          rows.push(message);
          bytes += message.value.length;
          last = row;
        }
        call.position = position;
        const nextPageToken = more ? pageToken(text, { asOf: position, after: last! }) : "";
        return { rows, nextPageToken, position: BigInt(position) };
      });
    },

    async *watch({ prefix: text, fromPosition }, call) {
      const prefix = parsePrefix(text);
      allow(call, text, prefix.namespace);
      const { durableNext } = log;
      let told = fromPosition === undefined ? durableNext : Number(fromPosition);
      call.position = durableNext;
      for await (const facts of follow({ from: told, signal: call.signal })) {
        for await (const changes of changesIn(facts, prefix)) {
          const nextPosition = changes.at(-1)!.row!.position + 1n;
          told = Number(nextPosition);
          yield { changes, nextPosition };
        }
        const passed = facts.at(-1)!.position + 1;
        if (passed - told < SILENT_FACTS_MAX) continue;
        told = passed;
        yield { changes: [], nextPosition: BigInt(passed) };
      }
      call.signal.throwIfAborted();
    },

    ...entryWrites({ ledger, heads: tables.heads, allow }),
  };
}

/**
 * A client that names a namespace in its header keeps to it, unless it is root; `undefined` stands for several.
 * @throws ShiplogError PermissionDenied
 */
function allow(call: Call, path: string, namespace: string | undefined): void {
  if (call.principal.uid === 0 || call.metadata.get("containerd-namespace") === undefined) return;
  const own = call.namespace();
  if (namespace === own) return;
  throw new ShiplogError("PermissionDenied", `path ${quoted(path)} is not within /${own}, the namespace of this call`, {
    reason: "OtherNamespace",
  });
}
