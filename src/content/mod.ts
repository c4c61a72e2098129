/**
 * The public face of content: blobs and ingests on disk, and the order in which files and records of them change. Which namespace may do
 * what, and in which words it is told, is the edge's.
 */
export { digestAlgorithms, parseDigest, readDigest, type DigestAlgorithm } from "./digest.ts";
export type { Holding } from "./holding.ts";
export { KeyedMutex } from "./keyed-mutex.ts";
export {
  abortIngest,
  type ContentDependencies,
  contentResource,
  type IngestRequest,
  ingestResource,
  refNotFound,
  removeEndedIngest,
  type SharingPolicy,
  sharingPolicies,
} from "./ingest-record.ts";
export { type CommitRequest, Ingest } from "./ingest.ts";
export { ContentStore, type ContentStoreOptions, type IngestProgress } from "./store.ts";
export { sweepContent } from "./sweep.ts";
export { removeUnlinkedBlob } from "./unlinked.ts";
export { lastChange } from "./writer.ts";
