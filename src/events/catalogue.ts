/**
 * The catalogue of facts: every type that shiplog writes, with its payload. A payload holds what happened and nothing that can be
 * computed from earlier facts of the same stream. Changing a payload's meaning raises its number in `schemaVersions` and needs an
 * upcaster; types are never removed, for old logs hold them.
 */
import type { Stated } from "./fact.ts";

/** A google.protobuf.Any, kept byte for byte. */
export interface AnyValue {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

export type Labels = Readonly<Record<string, string>>;

/** An OCI content descriptor. Size in bytes. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations: Labels;
}

export interface Mount {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  readonly options: readonly string[];
}

/** Paths or URIs of a process's standard streams as the client gave them; empty means none. */
export interface ProcessIo {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

/** Where a shim listens, and which version of the task API it speaks. */
export interface ShimEndpoint {
  readonly address: string;
  readonly version: number;
}

/** How a process ended. */
export interface Exit {
  readonly pid: number;
  /** 0 to 255; 128 + n for death by signal n. */
  readonly status: number;
  /** Unix nanoseconds. */
  readonly exitedAt: bigint;
  /** False when nobody could learn the true status; `status` is then containerd's stand-in (255, or 137 after a forced clean-up). */
  readonly known: boolean;
}

/** Something that a collection removed: the kind of its stream, its key, and in words why nothing could reach it. */
export interface Garbage {
  readonly kind: "lease" | "image" | "snapshot" | "ingest" | "blob";
  readonly key: string;
  readonly reason: string;
}

/** `collected`: ended by a collection, not by a client. containerd tells nobody of those. */
export interface Collected {
  readonly collected?: true;
}

export interface Facts {
  /** Streams `namespace/<name>`, recorded in that namespace. `implicit`: made by the first write, not by a client's wish. */
  NamespaceCreated: { readonly labels: Labels; readonly implicit: boolean };
  /** `labels` is the whole resulting map, `requested` what the client sent, which is what subscribers are told. */
  NamespaceUpdated: { readonly labels: Labels; readonly requested: Labels };
  NamespaceDeleted: Record<string, never>;

  /** Streams `container/<id>`: a container is a record; what runs is its task. */
  ContainerCreated: {
    readonly labels: Labels;
    readonly image: string;
    readonly runtime: { readonly name: string; readonly options: AnyValue | null };
    readonly spec: AnyValue;
    readonly snapshotter: string;
    readonly snapshotKey: string;
    readonly extensions: Readonly<Record<string, AnyValue>>;
    readonly sandbox: string;
  };
  /** Only the fields that changed, each with its whole new value; none when the client wrote what was there. */
  ContainerUpdated: {
    readonly labels?: Labels;
    readonly image?: string;
    readonly spec?: AnyValue;
    readonly snapshotKey?: string;
    readonly extensions?: Readonly<Record<string, AnyValue>>;
  };
  ContainerDeleted: Record<string, never>;

  /** Streams `image/<name>`. */
  ImageCreated: { readonly target: Descriptor; readonly labels: Labels };
  /** As ContainerUpdated. */
  ImageUpdated: { readonly target?: Descriptor; readonly labels?: Labels };
  ImageDeleted: Record<string, never>;

  /** Streams `lease/<id>`. A resource's type is containerd's: `content`, `ingests`, `snapshots/<snapshotter>`. */
  LeaseCreated: { readonly labels: Labels };
  LeaseResourceAdded: { readonly type: string; readonly id: string };
  LeaseResourceRemoved: { readonly type: string; readonly id: string };
  LeaseDeleted: Record<string, never>;
  /** The time that its label `containerd.io/gc.expire` names has passed. */
  LeaseExpired: Record<string, never>;

  /**
   * Streams `ingest/<ref>`. `total` in bytes and `expected` (a digest) are what the writer announced, 0 and empty when it did not.
   * `leased`: begun under a lease, so that it lives as long as a lease holds it; any other lives for a day.
   */
  IngestStarted: { readonly total: number; readonly expected: string; readonly leased?: true };
  IngestCommitted: { readonly digest: string; readonly size: number };
  IngestAborted: { readonly reason: string };

  /** Streams `blob/<digest>`: a namespace's link to content. */
  BlobCommitted: { readonly size: number; readonly labels: Labels };
  BlobUpdated: { readonly labels: Labels };
  BlobDeleted: Collected;

  /** Streams `snapshot/<snapshotter>/<key>`. `id` names the directory; `parent` is a committed snapshot's name or empty. */
  SnapshotPrepared: { readonly id: string; readonly parent: string; readonly labels: Labels };
  SnapshotViewed: { readonly id: string; readonly parent: string; readonly labels: Labels };
  /** On the active snapshot's stream: it ends, and lives on under `name`. */
  SnapshotCommitted: { readonly name: string };
  /** On the stream of the name given at commit, in the same append: a committed snapshot begins. */
  SnapshotSealed: {
    readonly key: string;
    readonly id: string;
    readonly parent: string;
    readonly labels: Labels;
    /** Bytes and inodes of its own layer, parents not counted. */
    readonly size: number;
    readonly inodes: number;
  };
  /** On the active snapshot's stream, an intent: a picture is to be taken of it, for which these containers stand still. */
  SnapshotTaking: { readonly name: string; readonly id: string; readonly containers: readonly string[] };
  /**
   * The picture is on disk under `name`, and the active snapshot has gone on. `paused`: the containers that had to stand still, for
   * `pausedNs` nanoseconds from the first to the last moment. Bytes of data that the file system shares between the two, and that were copied.
   */
  SnapshotTaken: {
    readonly name: string;
    readonly paused: readonly string[];
    readonly pausedNs: number;
    readonly sharedBytes: number;
    readonly copiedBytes: number;
  };
  SnapshotTakeFailed: { readonly name: string; readonly message: string };
  /** On the stream of the picture's name, in the same append as SnapshotTaken: a committed snapshot begins. `at`: the moment that it shows. */
  SnapshotPictured: {
    readonly of: { readonly key: string; readonly container: string; readonly at: bigint };
    readonly id: string;
    readonly parent: string;
    readonly labels: Labels;
    readonly size: number;
    readonly inodes: number;
  };
  SnapshotUpdated: { readonly labels: Labels };
  SnapshotRemoved: Collected;

  /** Streams `volume/<name>`: an active snapshot with a life of its own. `snapshotKey` is that of the snapshot which holds its content from then on. */
  VolumeCreated: {
    readonly snapshotter: string;
    readonly snapshotKey: string;
    readonly sharing: "shared" | "exclusive";
    readonly labels: Labels;
  };
  /** `path`: where in the container. */
  VolumeMounted: { readonly container: string; readonly path: string; readonly readOnly: boolean };
  VolumeUnmounted: { readonly container: string };
  /** `picture`: the name of a committed snapshot. */
  VolumePictured: { readonly picture: string };
  VolumeRolledBack: { readonly picture: string; readonly snapshotKey: string };
  VolumeRemoved: Record<string, never>;

  /** Streams `task/<container id>`. Facts in -ing are intents; each is closed by an outcome, by recovery if need be. */
  TaskCreating: {
    readonly bundle: string;
    readonly runtime: string;
    readonly rootfs: readonly Mount[];
    readonly io: ProcessIo;
    readonly options: AnyValue | null;
    readonly checkpoint: string;
  };
  TaskCreated: { readonly pid: number; readonly shim: ShimEndpoint };
  TaskCreateFailed: { readonly message: string };
  TaskStarting: Record<string, never>;
  TaskStarted: { readonly pid: number };
  TaskStartFailed: { readonly message: string };
  TaskPaused: Record<string, never>;
  TaskResumed: Record<string, never>;
  /** The limits that the shim has set; null when the client named none. */
  TaskUpdated: { readonly resources: AnyValue | null; readonly annotations: Labels };
  /** `path` is the client's directory for the images, empty where they are to become content. `exit`: the task ends with it. */
  TaskCheckpointing: { readonly path: string; readonly exit: boolean };
  /** `content` is what was written: the archive of the images and the container's spec; nothing where the client has named a directory. */
  TaskCheckpointed: { readonly content: readonly Descriptor[] };
  TaskCheckpointFailed: { readonly message: string };
  /** `execId` is empty for the init process. `all`: every process of the container. */
  TaskSignalling: { readonly execId: string; readonly signal: number; readonly all: boolean };
  TaskSignalled: { readonly execId: string; readonly signal: number; readonly all: boolean };
  TaskSignalFailed: {
    readonly execId: string;
    readonly signal: number;
    readonly all: boolean;
    readonly message: string;
  };
  /** `at`: when the kernel killed, as the shim says, unix nanoseconds; not said in the first logs. */
  TaskOomed: { readonly at?: bigint };
  /** The shim ended on its own; what it held is settled by the facts that follow. */
  TaskShimLost: { readonly message: string };
  /** Another shim has taken over what the lost one held; its processes went on meanwhile. */
  TaskShimReplaced: { readonly shim: ShimEndpoint };
  /** `oomKilled`: init died of SIGKILL after the kernel had run out of memory for the container. */
  TaskExited: Exit & { readonly oomKilled?: true };
  TaskDeleting: Record<string, never>;
  TaskDeleteFailed: { readonly message: string };
  TaskDeleted: Exit;

  ExecAdded: { readonly execId: string; readonly io: ProcessIo; readonly spec: AnyValue | null };
  ExecStarting: { readonly execId: string };
  ExecStarted: { readonly execId: string; readonly pid: number };
  ExecStartFailed: { readonly execId: string; readonly message: string };
  ExecExited: Exit & { readonly execId: string };
  ExecDeleted: Exit & { readonly execId: string };

  /** Streams `collection/<namespace>`. What it removed ended by the facts behind this one in the same append, whose cause it is. */
  GarbageCollected: { readonly removed: readonly Garbage[] };

  /** Streams `event/<topic>`: an envelope that a client published or a shim forwarded and that is no fact of ours. */
  EventPublished: { readonly topic: string; readonly event: AnyValue | null; readonly timestamp: bigint };

  /** Streams `entry/<name>`: what a client keeps under a name of its own. Made, or its value replaced. */
  EntryPut: { readonly value: AnyValue };
  EntryDeleted: Record<string, never>;
}

export type FactType = keyof Facts;

/** Each fact type with its payload, as deciders return it. */
export type StatedFact<T extends FactType = FactType> = { [K in T]: Stated<K, Facts[K]> }[T];

/** The schema version written today, per fact type. */
export const schemaVersions: Readonly<Record<FactType, number>> = {
  NamespaceCreated: 1,
  NamespaceUpdated: 1,
  NamespaceDeleted: 1,
  ContainerCreated: 1,
  ContainerUpdated: 1,
  ContainerDeleted: 1,
  ImageCreated: 1,
  ImageUpdated: 1,
  ImageDeleted: 1,
  LeaseCreated: 1,
  LeaseResourceAdded: 1,
  LeaseResourceRemoved: 1,
  LeaseDeleted: 1,
  LeaseExpired: 1,
  IngestStarted: 1,
  IngestCommitted: 1,
  IngestAborted: 1,
  BlobCommitted: 1,
  BlobUpdated: 1,
  BlobDeleted: 1,
  SnapshotPrepared: 1,
  SnapshotViewed: 1,
  SnapshotCommitted: 1,
  SnapshotSealed: 1,
  SnapshotTaking: 1,
  SnapshotTaken: 1,
  SnapshotTakeFailed: 1,
  SnapshotPictured: 1,
  SnapshotUpdated: 1,
  SnapshotRemoved: 1,
  VolumeCreated: 1,
  VolumeMounted: 1,
  VolumeUnmounted: 1,
  VolumePictured: 1,
  VolumeRolledBack: 1,
  VolumeRemoved: 1,
  TaskCreating: 1,
  TaskCreated: 1,
  TaskCreateFailed: 1,
  TaskStarting: 1,
  TaskStarted: 1,
  TaskStartFailed: 1,
  TaskPaused: 1,
  TaskResumed: 1,
  TaskUpdated: 1,
  TaskCheckpointing: 1,
  TaskCheckpointed: 1,
  TaskCheckpointFailed: 1,
  TaskSignalling: 1,
  TaskSignalled: 1,
  TaskSignalFailed: 1,
  TaskOomed: 1,
  TaskShimLost: 1,
  TaskShimReplaced: 1,
  TaskExited: 1,
  TaskDeleting: 1,
  TaskDeleteFailed: 1,
  TaskDeleted: 1,
  ExecAdded: 1,
  ExecStarting: 1,
  ExecStarted: 1,
  ExecStartFailed: 1,
  ExecExited: 1,
  ExecDeleted: 1,
  GarbageCollected: 1,
  EventPublished: 1,
  EntryPut: 1,
  EntryDeleted: 1,
};
