import assert from "node:assert/strict";
import { test } from "node:test";
import type { Facts, FactType } from "../../src/events/catalogue.ts";
import type { Fact } from "../../src/events/fact.ts";
import { schemaVersions } from "../../src/events/catalogue.ts";
import { envelopeOf, needsRow, topicByFactType } from "../../src/events/topics.ts";
import { payloadByTypeUrl } from "../../src/wire/mod.ts";

function fact<T extends FactType>(type: T, stream: string, data: Facts[T]): Fact {
  const principal = { uid: 0, gid: 0, pid: 1 };
  return {
    position: 3,
    time: 5_000_000_006n,
    namespace: "ns",
    stream,
    version: 0,
    type,
    schema: 1,
    principal,
    request: "r",
    data,
  };
}

/** The envelope's payload, decoded by the codec that its type URL names. */
function decoded(given: Fact) {
  const envelope = envelopeOf(given, rows[given.type]);
  if (envelope === undefined) return undefined;
  const event = envelope.event()!;
  const codec = payloadByTypeUrl[event.typeUrl as keyof typeof payloadByTypeUrl];
  return { topic: envelope.topic, typeUrl: event.typeUrl, payload: codec.decode(event.value) };
}

const exit = { pid: 7, status: 137, exitedAt: 9_000_000_001n, known: true };
const exitedAt = { seconds: 9n, nanos: 1 };
const io = { stdin: "/in", stdout: "/out", stderr: "/err", terminal: true };
const mount = { type: "overlay", source: "overlay", target: "", options: ["index=off"] };
const labels = { a: "1", b: "2" };
const target = { mediaType: "m", digest: "sha256:x", size: 1, annotations: {} };
const options = { typeUrl: "o", value: Buffer.from([1]) };
const spec = { typeUrl: "s", value: Buffer.from([2]) };

/** Rows just after the facts that need them. */
const rows: Readonly<Record<string, unknown>> = {
  TaskCreated: { bundle: "/b", rootfs: [mount], io, checkpoint: "/images" },
  ContainerUpdated: { image: "i", labels, snapshotKey: "k" },
  ImageUpdated: { labels },
};

/** What containerd 1.6.20 was seen to publish, fact by fact. `snapshotter` came later. */
const published: readonly [given: Fact, topic: string, typeUrl: string, payload: object][] = [
  [
    fact("NamespaceCreated", "namespace/ns", { labels, implicit: false }),
    "/namespaces/create",
    "containerd.events.NamespaceCreate",
    { name: "ns", labels },
  ],
  [
    fact("NamespaceUpdated", "namespace/ns", { labels: {}, requested: labels }),
    "/namespaces/update",
    "containerd.events.NamespaceUpdate",
    { name: "ns", labels },
  ],
  [
    fact("NamespaceDeleted", "namespace/ns", {}),
    "/namespaces/delete",
    "containerd.events.NamespaceDelete",
    { name: "ns" },
  ],
  [
    fact("ContainerCreated", "container/c", {
      labels,
      image: "i",
      runtime: { name: "r", options },
      spec,
      snapshotter: "o",
      snapshotKey: "k",
      extensions: {},
      sandbox: "",
    }),
    "/containers/create",
    "containerd.events.ContainerCreate",
    { id: "c", image: "i", runtime: { name: "r", options } },
  ],
  [
    fact("ContainerUpdated", "container/c", { labels, image: "i", snapshotKey: "k" }),
    "/containers/update",
    "containerd.events.ContainerUpdate",
    { id: "c", image: "i", labels, snapshotKey: "k" },
  ],
  [fact("ContainerDeleted", "container/c", {}), "/containers/delete", "containerd.events.ContainerDelete", { id: "c" }],
  [
    fact("ImageCreated", "image/a/b:1", { target, labels }),
    "/images/create",
    "containerd.services.images.v1.ImageCreate",
    { name: "a/b:1", labels },
  ],
  [
    fact("ImageUpdated", "image/a/b:1", { labels }),
    "/images/update",
    "containerd.services.images.v1.ImageUpdate",
    { name: "a/b:1", labels },
  ],
  [
    fact("ImageDeleted", "image/a/b:1", {}),
    "/images/delete",
    "containerd.services.images.v1.ImageDelete",
    { name: "a/b:1" },
  ],
  [
    fact("BlobDeleted", "blob/sha256:x", {}),
    "/content/delete",
    "containerd.events.ContentDelete",
    { digest: "sha256:x" },
  ],
  [
    fact("SnapshotPrepared", "snapshot/overlayfs/a/b c", { id: "1", parent: "p", labels }),
    "/snapshot/prepare",
    "containerd.events.SnapshotPrepare",
    { key: "a/b c", parent: "p", snapshotter: "overlayfs" },
  ],
  [
    fact("SnapshotCommitted", "snapshot/overlayfs/k", { name: "n" }),
    "/snapshot/commit",
    "containerd.events.SnapshotCommit",
    { key: "k", name: "n", snapshotter: "overlayfs" },
  ],
  [
    fact("SnapshotRemoved", "snapshot/overlayfs/k", {}),
    "/snapshot/remove",
    "containerd.events.SnapshotRemove",
    { key: "k", snapshotter: "overlayfs" },
  ],
  [
    fact("TaskStarted", "task/c", { pid: 7 }),
    "/tasks/start",
    "containerd.events.TaskStart",
    { containerId: "c", pid: 7 },
  ],
  [fact("TaskPaused", "task/c", {}), "/tasks/paused", "containerd.events.TaskPaused", { containerId: "c" }],
  [fact("TaskResumed", "task/c", {}), "/tasks/resumed", "containerd.events.TaskResumed", { containerId: "c" }],
  [fact("TaskOomed", "task/c", {}), "/tasks/oom", "containerd.events.TaskOOM", { containerId: "c" }],
  [
    fact("TaskExited", "task/c", exit),
    "/tasks/exit",
    "containerd.events.TaskExit",
    { containerId: "c", id: "c", pid: 7, exitStatus: 137, exitedAt },
  ],
  [
    fact("TaskDeleted", "task/c", exit),
    "/tasks/delete",
    "containerd.events.TaskDelete",
    { containerId: "c", pid: 7, exitStatus: 137, exitedAt, id: "" },
  ],
  [
    fact("ExecAdded", "task/c", { execId: "e", io, spec: null }),
    "/tasks/exec-added",
    "containerd.events.TaskExecAdded",
    { containerId: "c", execId: "e" },
  ],
  [
    fact("ExecStarted", "task/c", { execId: "e", pid: 8 }),
    "/tasks/exec-started",
    "containerd.events.TaskExecStarted",
    { containerId: "c", execId: "e", pid: 8 },
  ],
  [
    fact("ExecExited", "task/c", { ...exit, execId: "e" }),
    "/tasks/exit",
    "containerd.events.TaskExit",
    { containerId: "c", id: "e", pid: 7, exitStatus: 137, exitedAt },
  ],
];

const taskCreated = fact("TaskCreated", "task/c", { pid: 7, shim: { address: "unix:///s", version: 2 } });

test("each fact that is an event has containerd's topic, type and fields", () => {
  for (const [given, topic, typeUrl, payload] of published)
    assert.deepEqual(decoded(given), { topic, typeUrl, payload }, given.type);
});

test("the envelope of a fact carries its namespace and time", () => {
  const envelope = envelopeOf(fact("TaskPaused", "task/c", {}), undefined);
  assert.equal(envelope?.namespace, "ns");
  assert.equal(envelope?.timestamp, 5_000_000_006n);
});

test("an envelope that tells more than its fact takes it from the entity's row just after the fact", () => {
  assert.deepEqual(Object.keys(rows).sort(), Object.keys(schemaVersions).filter(needsRow).sort());
  const whole = { containerId: "c", bundle: "/b", rootfs: [mount], io, checkpoint: "/images", pid: 7 };
  assert.deepEqual(decoded(taskCreated), {
    topic: "/tasks/create",
    typeUrl: "containerd.events.TaskCreate",
    payload: whole,
  });
  const container = decoded(fact("ContainerUpdated", "container/c", {}));
  assert.deepEqual(container?.payload, { id: "c", image: "i", labels, snapshotKey: "k" });
  assert.deepEqual(decoded(fact("ImageUpdated", "image/n", { target }))?.payload, { name: "n", labels });
});

test("what was published goes out as it came", () => {
  const event = { typeUrl: "example.Own", value: Buffer.from([1, 2, 3]) };
  const envelope = envelopeOf(
    fact("EventPublished", "event//my/topic", { topic: "/my/topic", event, timestamp: 4n }),
    undefined,
  );
  assert.deepEqual(
    [envelope?.topic, envelope?.timestamp, envelope?.namespace, envelope?.event()],
    ["/my/topic", 4n, "ns", event],
  );
});

test("facts that clients of containerd are told nothing of have no envelope", () => {
  assert.equal(
    envelopeOf(fact("NamespaceCreated", "namespace/ns", { labels: {}, implicit: true }), undefined),
    undefined,
  );
  assert.equal(
    envelopeOf(fact("SnapshotViewed", "snapshot/o/k", { id: "1", parent: "", labels }), undefined),
    undefined,
  );
  assert.equal(envelopeOf({ ...taskCreated, type: "SomethingNewer" }, undefined), undefined);
  assert.equal(envelopeOf({ ...taskCreated, type: "constructor" }, undefined), undefined);
});

test("every topic that containerd 1.6 publishes has a fact, and nothing else has a topic", () => {
  const topics = new Set(topicByFactType.values());
  assert.deepEqual(
    [...topics].sort(),
    [
      ...["create", "update", "delete"].flatMap((what) => [
        `/containers/${what}`,
        `/images/${what}`,
        `/namespaces/${what}`,
      ]),
      "/content/delete",
      ...["prepare", "commit", "remove"].map((what) => `/snapshot/${what}`),
      // Not here: /tasks/checkpointed, which containerd leaves to the shims.
      ...["create", "start", "exit", "delete", "oom", "exec-added", "exec-started", "paused", "resumed"].map(
        (what) => `/tasks/${what}`,
      ),
    ].sort(),
  );
  const seen = new Set([...published.map(([{ type }]) => type), "TaskCreated"]);
  assert.deepEqual([...topicByFactType.keys()].sort(), [...seen].sort());
  for (const type of topicByFactType.keys()) assert.ok(Object.hasOwn(schemaVersions, type));
});
