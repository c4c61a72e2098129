/**
 * A container's journal in its bundle: written by its shim, read by the one that takes over when that has died.
 */
export { Journal, JournalCorrupt, JournalHeld, readJournal } from "./journal.ts";
export {
  type AcknowledgedRecord,
  type CreatedRecord,
  type CreatingRecord,
  type DeletedRecord,
  type ExecAddedRecord,
  type ExecDeletedRecord,
  type ExecStartedRecord,
  type ExitedRecord,
  type JournalEntry,
  type JournalExec,
  type JournalExit,
  type JournalRecord,
  type JournalState,
  journalState,
  type OomedRecord,
  type OutputLostRecord,
  type RootfsMount,
  type RuntimeChoice,
  type StartedRecord,
  type StdioUris,
  type ToldRecord,
} from "./record.ts";
