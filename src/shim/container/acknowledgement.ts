/** Marking in the journal what the daemon has taken, so that no later shim tells it again. */
import type { Journal } from "../journal/mod.ts";

/** `record`: its number in the journal, or undefined when it could not be written there. */
export function writeAcknowledged(
  journal: Journal,
  record: number | undefined,
  onTrouble: (text: string, error: unknown) => void,
): void {
  if (record === undefined || journal.isClosed) return;
  journal
    .append({ type: "acknowledged", record })
    .catch((error: unknown) => onTrouble("write down an acknowledgement", error));
}
