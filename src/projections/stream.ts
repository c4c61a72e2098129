/** How streams are named: `kind/id`. The kind is the table, the id the row's key. */
import type { Kind } from "../machines/mod.ts";

export const kinds = [
  "namespace",
  "container",
  "image",
  "lease",
  "ingest",
  "blob",
  "snapshot",
  "task",
  "collection",
  "event",
  "entry",
  "volume",
] as const satisfies readonly Kind[];

const known: ReadonlySet<string> = new Set(kinds);

/** What a kind's table is called: the plural. */
export type TableName<K extends Kind = Kind> = K extends `${infer Stem}y` ? `${Stem}ies` : `${K}s`;

export const tableName = <K extends Kind>(kind: K): TableName<K> =>
  (kind.endsWith("y") ? `${kind.slice(0, -1)}ies` : `${kind}s`) as TableName<K>;

export const streamName = (kind: Kind, key: string): string => `${kind}/${key}`;

/** The table and key of a stream, or undefined for a stream that no table of ours holds. */
export function parseStream(stream: string): { readonly kind: Kind; readonly key: string } | undefined {
  const slash = stream.indexOf("/");
  if (slash < 0) return undefined;
  const kind = stream.slice(0, slash);
  return known.has(kind) ? { kind: kind as Kind, key: stream.slice(slash + 1) } : undefined;
}
