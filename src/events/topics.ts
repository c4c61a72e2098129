/**
 * Facts as containerd's events: the one table from a fact's type to the topic and the payload that clients know. Owns those names and
 * the fields of the payloads. It keeps nothing, and looks at nothing but the fact and, for a few payloads, the
 * entity's row just after it.
 *
 * containerd 1.6 is what the table agrees with, observed by subscribing to it. Its type URLs are the protobuf names without a host;
 * those of images carry the image service's package.
 */
import { payloadByTypeUrl, timestampFromUnixNano } from "../wire/mod.ts";
import type { AnyValue, Exit, Facts, FactType, Labels, Mount, ProcessIo } from "./catalogue.ts";
import type { Fact } from "./fact.ts";

/** An event as clients get it. */
export interface Envelope {
  readonly namespace: string;
  readonly topic: string;
  /** Unix nanoseconds. */
  readonly timestamp: bigint;
  /** The payload; encoded when it is first asked for, since most filters look at namespace and topic alone. */
  event(): AnyValue | null;
}

/**
 * The entity's row as it was just after the fact, for the payloads that hold more than their own fact; by the types of those facts.
 */
interface RowAfter {
  readonly TaskCreated: {
    readonly bundle: string;
    readonly rootfs: readonly Mount[];
    readonly io: ProcessIo;
    readonly checkpoint: string;
  };
  readonly ContainerUpdated: { readonly image: string; readonly labels: Labels; readonly snapshotKey: string };
  readonly ImageUpdated: { readonly labels: Labels };
}

type RowOf<T extends FactType> = T extends keyof RowAfter ? RowAfter[T] : undefined;

const typesThatNeedTheRow: ReadonlySet<string> = new Set<keyof RowAfter>([
  "TaskCreated",
  "ContainerUpdated",
  "ImageUpdated",
]);

/** Whether `envelopeOf` wants the row as it was just after a fact of this type. */
export const needsRow = (type: string): boolean => typesThatNeedTheRow.has(type);

type Payloads = typeof payloadByTypeUrl;
type TypeUrl = keyof Payloads;
type Payload<U extends TypeUrl> = Parameters<Payloads[U]["encode"]>[0];

/** The fact's payload, and whose fact it is: `key` is the stream's id part. */
interface Subject<T extends FactType> {
  readonly data: Facts[T];
  readonly key: string;
}

interface Topic<T extends FactType> {
  readonly topic: string;
  readonly typeUrl: TypeUrl;
  encode(subject: Subject<T>, row: RowOf<T>): Uint8Array;
  /** False for the facts of this type that are no event. */
  isEvent(data: Facts[T]): boolean;
}

/** An envelope that came in whole and goes out as it came. */
const passedOn = "passed on";

const table: { readonly [T in FactType]: Topic<T> | typeof passedOn | null } = {
  NamespaceCreated: {
    ...to("/namespaces/create", "containerd.events.NamespaceCreate", ({ key, data }) => ({
      name: key,
      labels: { ...data.labels },
    })),
    isEvent: ({ implicit }) => !implicit,
  },
  NamespaceUpdated: to("/namespaces/update", "containerd.events.NamespaceUpdate", ({ key, data }) => ({
    name: key,
    labels: { ...data.requested },
  })),
  NamespaceDeleted: to("/namespaces/delete", "containerd.events.NamespaceDelete", ({ key }) => ({ name: key })),

  ContainerCreated: to(
    "/containers/create",
    "containerd.events.ContainerCreate",
    ({ key, data: { image, runtime } }) => ({
      id: key,
      image,
      runtime: { name: runtime.name, options: runtime.options === null ? undefined : wireAny(runtime.options) },
    }),
  ),
  ContainerUpdated: to(
    "/containers/update",
    "containerd.events.ContainerUpdate",
    ({ key }, { image, labels, snapshotKey }) => ({ id: key, image, labels: { ...labels }, snapshotKey }),
  ),
  ContainerDeleted: to("/containers/delete", "containerd.events.ContainerDelete", ({ key }) => ({ id: key })),

  ImageCreated: to("/images/create", "containerd.services.images.v1.ImageCreate", ({ key, data }) => ({
    name: key,
    labels: { ...data.labels },
  })),
  ImageUpdated: to("/images/update", "containerd.services.images.v1.ImageUpdate", ({ key }, { labels }) => ({
    name: key,
    labels: { ...labels },
  })),
  ImageDeleted: to("/images/delete", "containerd.services.images.v1.ImageDelete", ({ key }) => ({ name: key })),

  LeaseCreated: null,
  LeaseResourceAdded: null,
  LeaseResourceRemoved: null,
  LeaseDeleted: null,
  LeaseExpired: null,

  IngestStarted: null,
  IngestCommitted: null,
  IngestAborted: null,

  // 2.x publishes /content/create here; 1.6 does not.
  BlobCommitted: null,
  BlobUpdated: null,
  BlobDeleted: {
    ...to("/content/delete", "containerd.events.ContentDelete", ({ key }) => ({ digest: key })),
    isEvent: ({ collected }) => collected !== true,
  },

  SnapshotPrepared: to("/snapshot/prepare", "containerd.events.SnapshotPrepare", ({ key, data }) => ({
    ...snapshot(key),
    parent: data.parent,
  })),
  SnapshotViewed: null,
  SnapshotCommitted: to("/snapshot/commit", "containerd.events.SnapshotCommit", ({ key, data }) => ({
    ...snapshot(key),
    name: data.name,
  })),
  SnapshotSealed: null,
  // Nothing of containerd's becomes a committed snapshot while it goes on, and its commit would say that the key has ended.
  SnapshotTaking: null,
  SnapshotTaken: null,
  SnapshotTakeFailed: null,
  SnapshotPictured: null,
  SnapshotUpdated: null,
  SnapshotRemoved: {
    ...to("/snapshot/remove", "containerd.events.SnapshotRemove", ({ key }) => snapshot(key)),
    isEvent: ({ collected }) => collected !== true,
  },

  VolumeCreated: null,
  VolumeMounted: null,
  VolumeUnmounted: null,
  VolumePictured: null,
  VolumeRolledBack: null,
  VolumeRemoved: null,

  TaskCreating: null,
  TaskCreated: to(
    "/tasks/create",
    "containerd.events.TaskCreate",
    ({ key, data }, { bundle, rootfs, io, checkpoint }) => ({
      containerId: key,
      bundle,
      rootfs: rootfs.map((mount) => ({ ...mount, options: [...mount.options] })),
      io,
      checkpoint,
      pid: data.pid,
    }),
  ),
  TaskCreateFailed: null,
  TaskStarting: null,
  TaskStarted: to("/tasks/start", "containerd.events.TaskStart", ({ key, data }) => ({
    containerId: key,
    pid: data.pid,
  })),
  TaskStartFailed: null,
  TaskPaused: to("/tasks/paused", "containerd.events.TaskPaused", ({ key }) => ({ containerId: key })),
  TaskResumed: to("/tasks/resumed", "containerd.events.TaskResumed", ({ key }) => ({ containerId: key })),
  TaskUpdated: null,
  TaskCheckpointing: null,
  // containerd leaves /tasks/checkpointed to the shims, and runc's says nothing.
  TaskCheckpointed: null,
  TaskCheckpointFailed: null,
  TaskSignalling: null,
  TaskSignalled: null,
  TaskSignalFailed: null,
  TaskOomed: to("/tasks/oom", "containerd.events.TaskOOM", ({ key }) => ({ containerId: key })),
  TaskShimLost: null,
  TaskShimReplaced: null,
  // dockerd tells the exit of an exec from that of the task by this: only the task's has the container's id twice.
  TaskExited: to("/tasks/exit", "containerd.events.TaskExit", ({ key, data }) => ({
    containerId: key,
    id: key,
    ...exit(data),
  })),
  TaskDeleting: null,
  TaskDeleteFailed: null,
  TaskDeleted: to("/tasks/delete", "containerd.events.TaskDelete", ({ key, data }) => ({
    containerId: key,
    id: "",
    ...exit(data),
  })),

  ExecAdded: to("/tasks/exec-added", "containerd.events.TaskExecAdded", ({ key, data }) => ({
    containerId: key,
    execId: data.execId,
  })),
  ExecStarting: null,
  ExecStarted: to("/tasks/exec-started", "containerd.events.TaskExecStarted", ({ key, data: { execId, pid } }) => ({
    containerId: key,
    execId,
    pid,
  })),
  ExecStartFailed: null,
  ExecExited: to("/tasks/exit", "containerd.events.TaskExit", ({ key, data }) => ({
    containerId: key,
    id: data.execId,
    ...exit(data),
  })),
  // containerd says nothing when an exec is deleted.
  ExecDeleted: null,

  GarbageCollected: null,

  EventPublished: passedOn,

  EntryPut: null,
  EntryDeleted: null,
};

/**
 * The envelope that clients get for a fact; undefined for a fact that is no event of containerd's, or of a type not known here. `row` is
 * the entity's row just after the fact, where `needsRow` asks for it.
 */
export function envelopeOf(fact: Fact, row: unknown): Envelope | undefined {
  const entry = Object.hasOwn(table, fact.type)
    ? (table[fact.type as FactType] as Topic<FactType> | typeof passedOn | null)
    : null;
  if (entry === null) return undefined;
  if (entry === passedOn) {
    const { topic, timestamp, event } = fact.data as Facts["EventPublished"];
    return { namespace: fact.namespace, topic, timestamp, event: () => event };
  }
  const data = fact.data as Facts[FactType];
  if (!entry.isEvent(data)) return undefined;
  const { namespace, time } = fact;
  let event: AnyValue | undefined;
  return {
    namespace,
    topic: entry.topic,
    timestamp: time,
    event() {
      const key = fact.stream.slice(fact.stream.indexOf("/") + 1);
      event ??= { typeUrl: entry.typeUrl, value: entry.encode({ data, key }, row as undefined) };
      return event;
    },
  };
}

/** The topic of each type of fact that has one. What clients and shims publish has topics of its own. */
export const topicByFactType: ReadonlyMap<FactType, string> = new Map(
  Object.entries(table).flatMap(([type, entry]) =>
    entry === null || entry === passedOn ? [] : [[type as FactType, entry.topic]],
  ),
);

function to<T extends FactType, U extends TypeUrl>(
  topic: string,
  typeUrl: U,
  payload: (subject: Subject<T>, row: RowOf<T>) => Payload<U>,
): Topic<T> {
  const codec = payloadByTypeUrl[typeUrl] as { encode(message: Payload<U>): { finish(): Uint8Array } };
  return {
    topic,
    typeUrl,
    encode: (subject, row) => codec.encode(payload(subject, row)).finish(),
    isEvent: () => true,
  };
}

function snapshot(key: string): { snapshotter: string; key: string } {
  const slash = key.indexOf("/");
  return { snapshotter: key.slice(0, slash), key: key.slice(slash + 1) };
}

function exit({ pid, status, exitedAt }: Exit) {
  return { pid, exitStatus: status, exitedAt: timestampFromUnixNano(exitedAt) };
}

function wireAny({ typeUrl, value }: AnyValue) {
  return { typeUrl, value: Buffer.from(value.buffer, value.byteOffset, value.byteLength) };
}
