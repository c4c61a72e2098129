import type { View } from "../ledger.ts";
import type { ContentStore } from "./store.ts";

/** Brings the content's files in line with the tables. To be awaited at start, before anything is served. Returns the numbers removed. */
export async function sweepContent(view: View, store: ContentStore): Promise<{ blobs: number; ingests: number }> {
  const linked = new Set<string>();
  for (const { key } of view.blobs.all()) linked.add(key);
  const open: { namespace: string; ref: string }[] = [];
  for (const { namespace, key } of view.ingests.all()) open.push({ namespace, ref: key });
  return store.sweep(linked, open);
}
