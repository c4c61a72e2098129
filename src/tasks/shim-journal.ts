/** What our own shims write down in a task's bundle, as the daemon reads it: so it knows of what a shim could not tell any more. */
import { type JournalState, journalState, readJournal } from "../shim/journal/mod.ts";
import type { TaskKey } from "./bundle.ts";
import type { TaskContext } from "./context.ts";

/** Undefined when the task's shim is another's, the bundle is gone, or the journal cannot be read. */
export function shimJournalOf(
  { bundles, logger }: Pick<TaskContext, "bundles" | "logger">,
  key: TaskKey,
): JournalState | undefined {
  try {
    const entries = readJournal(bundles.pathOf(key));
    return entries === undefined ? undefined : journalState(entries);
  } catch (error) {
    logger.warn({ ...key, err: error }, "read the shim's journal");
    return undefined;
  }
}

/** Whether it can be for its deletion that its shim does not know of the container: by the word of our own shims, of which another's has none. */
export function mayBeDeleted(context: Pick<TaskContext, "bundles" | "logger">, key: TaskKey): boolean {
  const journal = shimJournalOf(context, key);
  return journal?.created === undefined || journal.deleted;
}
