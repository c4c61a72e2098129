/** Commands of every kind, valid and invalid alike, over domains small enough that they meet. */
import fc from "fast-check";
import type { Commands, Kind } from "../../src/machines/mod.ts";

/** The fields of the command of that type, its type left out. */
type Fields<Command, Type> = Command extends { readonly type: infer T }
  ? Type extends T
    ? Omit<Command, "type">
    : never
  : never;
type FieldsOf<Command extends { readonly type: string }> = {
  readonly [Type in Command["type"]]: fc.Arbitrary<Fields<Command, Type>>;
};

/** Every command type of the kind with its fields: a type that is missing here does not compile. */
function commandsOf<Command extends { readonly type: string }>(fields: FieldsOf<Command>): fc.Arbitrary<Command> {
  const each = Object.entries<fc.Arbitrary<object>>(fields as Record<string, fc.Arbitrary<object>>);
  return fc.oneof(
    ...each.map(([type, rest]) => ({
      // Commands about an exec come up more often, for they need a task that has one.
      weight: type.includes("Exec") || type === "SignalTask" ? 3 : 1,
      arbitrary: rest.map((values) => ({ type, ...values }) as unknown as Command),
    })),
  );
}

/** With the prototype that objects of ours have, so that rows can be compared as a whole. */
const record = <T>(model: { readonly [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record<T>(model, { noNullPrototype: true });

const name = fc.constantFrom("a", "b");
const labels = fc.dictionary(fc.constantFrom("l", "k", "__proto__"), fc.constantFrom("1", "2"), {
  noNullPrototype: true,
});
const any = record({ typeUrl: fc.constantFrom("t", "u"), value: fc.uint8Array({ maxLength: 2 }) });
const anyOrNull = fc.option(any, { nil: null });
const anys = fc.dictionary(fc.constantFrom("x", "y"), any, { noNullPrototype: true });
const size = fc.integer({ min: 0, max: 3 });
const text = fc.constantFrom("", "m");
const time = fc.bigInt({ min: 0n, max: 9n });
const nothing = fc.constant({});

const descriptor = record({ mediaType: name, digest: name, size, annotations: labels });
const resource = record({ type: fc.constantFrom("content", "ingests"), id: name });
const runtime = record({ name, options: anyOrNull });
const containerFields = {
  labels,
  image: text,
  spec: any,
  snapshotKey: text,
  extensions: anys,
};
const snapshotFields = { id: name, parent: text, labels };
const making = record({
  key: name,
  ...snapshotFields,
  observedParent: fc.constantFrom("none", "absent", "active", "view", "committed"),
});

const io = record({ stdin: text, stdout: text, stderr: text, terminal: fc.boolean() });
const pid = fc.integer({ min: 1, max: 3 });
const exit = record({ pid, status: fc.constantFrom(0, 137, 255), exitedAt: time, known: fc.boolean() });
/** Mostly one, so that commands about an exec find it. */
const execId = fc.constantFrom("constructor", "constructor", "constructor", "e");
const id = name;
const signal = { execId: fc.oneof(fc.constant(""), execId), signal: fc.constantFrom(9, 15), all: fc.boolean() };
const message = text;
const shim = record({ address: name, version: fc.constantFrom(2, 3) });

export const commands: { readonly [K in Kind]: fc.Arbitrary<Commands[K]> } = {
  namespace: commandsOf<Commands["namespace"]>({
    CreateNamespace: record({ name, labels }),
    EnsureNamespace: nothing,
    UpdateNamespace: record({ name, labels, requested: labels }),
    DeleteNamespace: record({ name, holds: fc.array(fc.constantFrom("images", "blobs"), { maxLength: 1 }) }),
  }),
  container: commandsOf<Commands["container"]>({
    CreateContainer: record({ id, runtime, snapshotter: text, sandbox: text, ...containerFields }),
    UpdateContainer: fc.record({ id, ...containerFields }, { requiredKeys: ["id"] }),
    DeleteContainer: record({ id }),
  }),
  image: commandsOf<Commands["image"]>({
    CreateImage: record({ name, target: descriptor, labels }),
    UpdateImage: fc.record({ name, target: descriptor, labels }, { requiredKeys: ["name"] }),
    DeleteImage: record({ name }),
  }),
  lease: commandsOf<Commands["lease"]>({
    CreateLease: record({ id, labels }),
    ExpireLease: record({ id }),
    DeleteLease: record({ id }),
    AddLeaseResource: record({ id, resource }),
    RemoveLeaseResource: record({ id, resource }),
  }),
  ingest: commandsOf<Commands["ingest"]>({
    StartIngest: record({ ref: name, total: size, expected: text }),
    CommitIngest: record({ ref: name, digest: name, size }),
    AbortIngest: record({ ref: name, reason: text }),
  }),
  blob: commandsOf<Commands["blob"]>({
    CommitBlob: record({ digest: name, size, labels }),
    UpdateBlob: record({ digest: name, labels }),
    DeleteBlob: record({ digest: name }),
  }),
  snapshot: commandsOf<Commands["snapshot"]>({
    PrepareSnapshot: making,
    ViewSnapshot: making,
    CommitSnapshot: record({ key: name, name, nameTaken: fc.boolean() }),
    SealSnapshot: record({ name, key: name, ...snapshotFields, size, inodes: size }),
    TakeSnapshot: record({ key: name, name, id: name, containers: fc.constant(["c"]), nameTaken: fc.boolean() }),
    RecordTaken: record({
      key: name,
      name,
      paused: fc.constant([]),
      pausedNs: size,
      sharedBytes: size,
      copiedBytes: size,
    }),
    RecordTakeFailed: record({ key: name, name, message }),
    KeepPicture: record({
      name,
      of: record({ key: name, container: text, at: time }),
      ...snapshotFields,
      size,
      inodes: size,
    }),
    UpdateSnapshot: record({ key: name, labels }),
    RemoveSnapshot: record({ key: name, children: fc.integer({ min: 0, max: 1 }) }),
  }),
  task: commandsOf<Commands["task"]>({
    CreateTask: record({
      id,
      bundle: text,
      runtime: text,
      rootfs: fc.constant([]),
      io,
      options: anyOrNull,
      checkpoint: text,
    }),
    RecordCreated: record({ pid, shim }),
    RecordCreateFailed: record({ message }),
    StartTask: record({ id }),
    RecordStarted: record({ pid }),
    RecordStartFailed: record({ message }),
    RecordPaused: nothing,
    RecordResumed: nothing,
    SignalTask: record({ id, ...signal }),
    RecordSignalled: record(signal),
    RecordSignalFailed: record({ ...signal, message }),
    RecordOomed: record({ at: fc.bigInt({ min: 1n, max: 2n ** 62n }) }),
    CheckpointTask: record({ id, path: text, exit: fc.boolean() }),
    RecordCheckpointed: record({ content: fc.array(descriptor, { maxLength: 1 }) }),
    RecordCheckpointFailed: record({ message }),
    RecordUpdated: record({ resources: anyOrNull, annotations: fc.constant({}) }),
    RecordShimLost: record({ message }),
    RecordShimReplaced: record({ shim }),
    RecordExited: record({ exit }),
    DeleteTask: record({ id }),
    RecordDeleted: record({ exit }),
    RecordDeleteFailed: record({ message }),
    AddExec: record({ id, execId, io, spec: anyOrNull }),
    StartExec: record({ id, execId }),
    RecordExecStarted: record({ execId, pid }),
    RecordExecStartFailed: record({ execId, message }),
    RecordExecExited: record({ execId, exit }),
    CheckExecDeletable: record({ id, execId }),
    RecordExecDeleted: record({ execId, exit }),
  }),
  collection: commandsOf<Commands["collection"]>({
    RecordCollection: record({ removed: fc.array(record({ kind: fc.constantFrom("blob", "lease"), key: name, reason: text }), { maxLength: 2 }) }),
  }),
  event: commandsOf<Commands["event"]>({
    PublishEvent: record({ topic: name, event: anyOrNull, timestamp: time }),
  }),
  volume: commandsOf<Commands["volume"]>({
    CreateVolume: record({
      name,
      snapshotter: name,
      snapshotKey: name,
      sharing: fc.constantFrom("shared", "exclusive"),
      labels,
    }),
    MountVolume: record({ name, container: execId, path: text, readOnly: fc.boolean() }),
    RecordVolumeUnmounted: record({ container: execId }),
    RecordVolumePictured: record({ name, picture: name }),
    RollBackVolume: record({ name, picture: name, snapshotKey: name }),
    RemoveVolume: record({ name }),
  }),
  entry: commandsOf<Commands["entry"]>({
    PutEntry: record({ name, value: any }),
    DeleteEntry: record({ name }),
  }),
};
