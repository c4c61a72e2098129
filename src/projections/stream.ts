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
] as const satisfies readonly Kind[];

const known: ReadonlySet<string> = new Set(kinds);

export const streamName = (kind: Kind, key: string): string => `${kind}/${key}`;

/** The table and key of a stream, or undefined for a stream that no table of ours holds. */
export function parseStream(stream: string): { readonly kind: Kind; readonly key: string } | undefined {
  const slash = stream.indexOf("/");
  if (slash < 0) return undefined;
  const kind = stream.slice(0, slash);
  return known.has(kind) ? { kind: kind as Kind, key: stream.slice(slash + 1) } : undefined;
}
