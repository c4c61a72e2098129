import type { ContentDependencies } from "./ingest-record.ts";

/**
 * Removes a blob's bytes if no namespace links it. To be called after a link's end is durable, and after a pin was taken away. What cannot
 * be removed is told to `onLeftover`: nothing refers to it any more, so it is nobody's failure.
 */
export async function removeUnlinkedBlob(
  { ledger, store, onLeftover }: ContentDependencies,
  digest: string,
): Promise<void> {
  try {
    // By `read`, because the heads may run ahead: bytes must not go for a delete that a crash can still undo.
    await store.removeBlob(digest, async () => (await ledger.read((view) => view.blobLinks(digest) === 0)).value);
  } catch (error) {
    onLeftover(new Error(`remove the bytes of blob ${digest}`, { cause: error }));
  }
}
