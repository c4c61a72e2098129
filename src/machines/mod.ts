/**
 * The public face of the machines: the states that the tables hold, the commands that the ledger takes, and the decider of each kind.
 */
import { type BlobCommand, blobDecider, type BlobFact, type BlobState } from "./blob.ts";
import { type CollectionCommand, collectionDecider, type CollectionFact, type CollectionState } from "./collection.ts";
import { type ContainerCommand, containerDecider, type ContainerFact, type ContainerState } from "./container.ts";
import type { Decider } from "./decider.ts";
import { type EntryCommand, entryDecider, type EntryFact, type EntryState } from "./entry.ts";
import { type ImageCommand, imageDecider, type ImageFact, type ImageState } from "./image.ts";
import { type IngestCommand, ingestDecider, type IngestFact, type IngestState } from "./ingest.ts";
import { type LeaseCommand, leaseDecider, type LeaseFact, type LeaseState } from "./lease.ts";
import { type NamespaceCommand, namespaceDecider, type NamespaceFact, type NamespaceState } from "./namespace.ts";
import {
  type PublicationCommand,
  publicationDecider,
  type PublicationFact,
  type PublicationState,
} from "./publication.ts";
import { type SnapshotCommand, snapshotDecider, type SnapshotFact, type SnapshotState } from "./snapshot.ts";
import { taskDecider } from "./task-decider.ts";
import type { TaskCommand, TaskFact, TaskState } from "./task.ts";
import { type VolumeCommand, volumeDecider, type VolumeFact, type VolumeState } from "./volume.ts";

/** Kind of entity → its state. The kind is the first part of the stream and the name of the table. */
export interface States {
  readonly namespace: NamespaceState;
  readonly container: ContainerState;
  readonly image: ImageState;
  readonly lease: LeaseState;
  readonly ingest: IngestState;
  readonly blob: BlobState;
  readonly snapshot: SnapshotState;
  readonly task: TaskState;
  readonly collection: CollectionState;
  readonly event: PublicationState;
  readonly entry: EntryState;
  readonly volume: VolumeState;
}

/** Kind of entity → its commands. */
export interface Commands {
  readonly namespace: NamespaceCommand;
  readonly container: ContainerCommand;
  readonly image: ImageCommand;
  readonly lease: LeaseCommand;
  readonly ingest: IngestCommand;
  readonly blob: BlobCommand;
  readonly snapshot: SnapshotCommand;
  readonly task: TaskCommand;
  readonly collection: CollectionCommand;
  readonly event: PublicationCommand;
  readonly entry: EntryCommand;
  readonly volume: VolumeCommand;
}

/** Kind of entity → its facts. Each type of the catalogue belongs to one kind. */
export interface KindFacts {
  readonly namespace: NamespaceFact;
  readonly container: ContainerFact;
  readonly image: ImageFact;
  readonly lease: LeaseFact;
  readonly ingest: IngestFact;
  readonly blob: BlobFact;
  readonly snapshot: SnapshotFact;
  readonly task: TaskFact;
  readonly collection: CollectionFact;
  readonly event: PublicationFact;
  readonly entry: EntryFact;
  readonly volume: VolumeFact;
}

export type Kind = keyof States;

export const deciders: { readonly [K in Kind]: Decider<States[K], Commands[K], KindFacts[K]> } = {
  namespace: namespaceDecider,
  container: containerDecider,
  image: imageDecider,
  lease: leaseDecider,
  ingest: ingestDecider,
  blob: blobDecider,
  snapshot: snapshotDecider,
  task: taskDecider,
  collection: collectionDecider,
  event: publicationDecider,
  entry: entryDecider,
  volume: volumeDecider,
};

export type * from "./decider.ts";
export type * from "./namespace.ts";
export type * from "./container.ts";
export type * from "./image.ts";
export type * from "./lease.ts";
export type * from "./ingest.ts";
export type * from "./blob.ts";
export type * from "./snapshot.ts";
export type * from "./task.ts";
export type * from "./collection.ts";
export type * from "./publication.ts";
export type * from "./entry.ts";
export type * from "./volume.ts";
export { isRejection } from "./decider.ts";
export { quoted } from "./quoted.ts";
export { openIntents, type OpenIntents } from "./open-intents.ts";
export { kindOf } from "./snapshot.ts";
export { execOf } from "./task.ts";
export { execChart } from "./task-chart.ts";
export { conditions, isAboutExec } from "./task-decider.ts";
export { chartConfig, chartGraph, type ChartEdge, type ChartGraph } from "./chart-graph.ts";
