/**
 * Where runtimes that speak containerd's API lawfully differ: one trait for each difference that a client can see. The model is told which
 * dialect an endpoint speaks, and is right about each. A trait is stated as what is true of containerd 1.6, or was changed after it.
 */

export interface Dialect {
  readonly name: string;
  /** A lease takes in a snapshot that exists already when a client makes it again under that lease (since 1.7). */
  readonly leaseTakesWhatExists: boolean;
  /** Of a refusal with several reasons, an unknown lease is told before what is wrong with a snapshot's parent or name. */
  readonly leaseComesFirst: boolean;
  /** Of a commit's, that the snapshot is not active is told before an unknown lease. */
  readonly activityComesFirst: boolean;
  /** Leases hold images, and a resource of that type is taken (since 2.0). */
  readonly leasesHoldImages: boolean;
  /** A snapshot that is refused for its lease leaves a namespace behind which was not there before. */
  readonly refusalMakesNamespace: boolean;
  /** An update of a namespace that sets no label makes the namespace all the same. */
  readonly emptyUpdateMakesNamespace: boolean;
  /** The bytes of an upload stay when its namespace is deleted, and an upload of the same ref in a new one of that name goes on with them. */
  readonly uploadsOutliveNamespace: boolean;
  /** An upload that starts over because its total changed leaves the bytes behind what is written anew. */
  readonly restartKeepsTail: boolean;
  /** An upload keeps the content that it expects from being collected, whoever has uploaded that meanwhile. */
  readonly uploadHoldsExpected: boolean;
  /** An upload that was begun under a lease and gone on with under none is kept for a day, as one that was begun under none. */
  readonly resumedUploadIsKept: boolean;
  /**
   * The bytes of content that was deleted stay until a collection, and an upload that expects that content begins as if it had them. In 1.6
   * such an upload has no file of its own until something is written.
   */
  readonly deletedContentLingers: boolean;
  /** A process beside a task that has stopped is not refused but tried, and fails. */
  readonly startsInStoppedTask: boolean;
  /** The events of snapshots name the snapshotter (since 2.0). */
  readonly snapshotEventsNameSnapshotter: boolean;
}

/** containerd 1.6, as Debian 12 has it. */
export const containerd16: Dialect = {
  name: "containerd 1.6",
  leaseTakesWhatExists: false,
  leaseComesFirst: false,
  activityComesFirst: false,
  leasesHoldImages: false,
  refusalMakesNamespace: true,
  emptyUpdateMakesNamespace: false,
  uploadsOutliveNamespace: true,
  restartKeepsTail: true,
  uploadHoldsExpected: false,
  resumedUploadIsKept: true,
  deletedContentLingers: true,
  startsInStoppedTask: true,
  snapshotEventsNameSnapshotter: false,
};

/** containerd 1.7. */
export const containerd17: Dialect = { ...containerd16, name: "containerd 1.7", leaseTakesWhatExists: true };

export const shiplog: Dialect = {
  name: "shiplog",
  leaseTakesWhatExists: true,
  leaseComesFirst: true,
  activityComesFirst: true,
  leasesHoldImages: true,
  refusalMakesNamespace: false,
  emptyUpdateMakesNamespace: true,
  uploadsOutliveNamespace: false,
  restartKeepsTail: false,
  uploadHoldsExpected: true,
  resumedUploadIsKept: false,
  deletedContentLingers: false,
  startsInStoppedTask: false,
  snapshotEventsNameSnapshotter: true,
};

/** By what the Version service says; undefined for a line that none of the dialects is of. */
export function dialectOf(version: string): Dialect | undefined {
  if (version.includes("+shiplog.")) return shiplog;
  if (/^v?1\.6\./.test(version)) return containerd16;
  return /^v?1\.7\./.test(version) ? containerd17 : undefined;
}
