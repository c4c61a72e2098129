/** containerd.services.events.v1.Events, and containerd.services.events.ttrpc.v1.Events, which shims call. */
import { events, eventsTtrpc, payloads } from "../../../src/wire/mod.ts";
import { TtrpcClient, TtrpcError } from "../../../src/shim/ttrpc/mod.ts";
import { status } from "@grpc/grpc-js";
import { callsOf, type ComparedCall, type Scenario } from "../scenario.ts";
import { subscribed } from "../subscribed.ts";
import { identifiers } from "./rules.ts";

const namespace = "events";
const call = callsOf(events.EventsDefinition, { namespace });
const unknown = { typeUrl: "example.test/unknown", value: Buffer.from([1, 2, 3]) };
const timestamp = { seconds: 1_000_000_000n, nanos: 5 };

const publish = (name: string, request: object, headers = {}) =>
  call(name, "publish", { topic: "/test", event: unknown, ...request }, headers);
const forward = (name: string, envelope: object, headers = {}) =>
  call(name, "forward", { envelope: { namespace, topic: "/test", timestamp, event: unknown, ...envelope } }, headers);

const topics = [
  "",
  "test",
  "/",
  "//",
  "/a/",
  "/a//b",
  "/a/b",
  "/a/b/c/d",
  "a/b",
  "/a b",
  "/é",
  "/a.b-c_d",
  "/a--b",
  "/a\u0001",
  `/${"a".repeat(76)}`,
  `/${"a".repeat(77)}`,
];

/** Envelope and event are in each: containerd dies of one that is left out. */
const publishing: Scenario = {
  name: "events",
  calls: [
    publish("an event", {}),
    publish("a typed event", {
      event: typed(
        "TaskExit",
        payloads.TaskExit.encode(payloads.TaskExit.fromPartial({ containerId: "c", exitStatus: 3 })).finish(),
      ),
    }),
    publish("an empty event", { event: { typeUrl: "", value: Buffer.alloc(0) } }),
    publish("without a namespace", {}, { namespace: [] }),
    publish("in an empty namespace", {}, { namespace: "" }),
    publish("in a malformed namespace", {}, { namespace: "a b" }),
    ...topics.map((topic) => publish(`topic ${JSON.stringify(topic)}`, { topic })),
    forward("forward", {}),
    forward("forward without a header", {}, { namespace: [] }),
    forward("forward with another header", {}, { namespace: "other" }),
    forward("forward without a timestamp", { timestamp: undefined }),
    forward("forward at Go's zero time", { timestamp: { seconds: -62_135_596_800n, nanos: 0 } }),
    forward("forward at 1970", { timestamp: { seconds: 0n, nanos: 0 } }),
    forward("forward before 1970", { timestamp: { seconds: -1n, nanos: 999_999_999 } }),
    forward("forward too early", { timestamp: { seconds: -62_135_596_801n, nanos: 0 } }),
    forward("forward too late", { timestamp: { seconds: 253_402_300_800n, nanos: 0 } }),
    forward("forward with bad nanoseconds", { timestamp: { seconds: 1n, nanos: 1_000_000_000 } }),
    forward("forward without a namespace", { namespace: "" }),
    forward("forward without a topic", { topic: "" }),
    forward("forward with a bad topic", { topic: "/a/" }),
    ...identifiers
      .slice(5, 12)
      .map((name) => forward(`forward in namespace ${JSON.stringify(name)}`, { namespace: name })),
    ttrpcForward("ttrpc forward", { namespace, topic: "/test", timestamp, event: unknown }),
    ttrpcForward("ttrpc forward without a timestamp", { namespace, topic: "/test", event: unknown }),
    ttrpcForward("ttrpc forward with a bad topic", { namespace, topic: "test", timestamp, event: unknown }),
    ttrpcForward("ttrpc forward without a namespace", { topic: "/test", timestamp, event: unknown }),
  ],
};

function typed(name: string, value: Uint8Array) {
  return { typeUrl: `containerd.events.${name}`, value: Buffer.from(value) };
}

/** What a subscription may show, published in this order. */
const shown = [
  {
    topic: "/tasks/exit",
    event: typed(
      "TaskExit",
      payloads.TaskExit.encode(
        payloads.TaskExit.fromPartial({ containerId: "c1", id: "exec", pid: 7, exitStatus: 3 }),
      ).finish(),
    ),
  },
  { topic: "/tasks/oom", event: typed("TaskOOM", payloads.TaskOOM.encode({ containerId: "c2" }).finish()) },
  {
    topic: "/tasks/create",
    event: typed(
      "TaskCreate",
      payloads.TaskCreate.encode(
        payloads.TaskCreate.fromPartial({
          containerId: "c3",
          bundle: "/b",
          io: { stdin: "in", terminal: true },
          checkpoint: "cp",
        }),
      ).finish(),
    ),
  },
  {
    topic: "/containers/create",
    event: typed(
      "ContainerCreate",
      payloads.ContainerCreate.encode(
        payloads.ContainerCreate.fromPartial({ id: "c4", image: "i", runtime: { name: "r" } }),
      ).finish(),
    ),
  },
  {
    topic: "/containers/update",
    event: typed(
      "ContainerUpdate",
      payloads.ContainerUpdate.encode({
        id: "c5",
        image: "i",
        labels: { a: "1", "x.y/z": "2" },
        snapshotKey: "k",
      }).finish(),
    ),
  },
  {
    topic: "/namespaces/create",
    event: typed("NamespaceCreate", payloads.NamespaceCreate.encode({ name: "n", labels: { a: "1" } }).finish()),
  },
  {
    topic: "/snapshot/prepare",
    event: typed(
      "SnapshotPrepare",
      payloads.SnapshotPrepare.encode(payloads.SnapshotPrepare.fromPartial({ key: "k", parent: "p" })).finish(),
    ),
  },
  { topic: "/content/delete", event: typed("ContentDelete", payloads.ContentDelete.encode({ digest: "d" }).finish()) },
  {
    topic: "/images/create",
    event: {
      typeUrl: "containerd.services.images.v1.ImageCreate",
      value: Buffer.from(payloads.ImageCreate.encode({ name: "i", labels: { a: "1" } }).finish()),
    },
  },
  { topic: "/other/unknown", event: unknown },
  { topic: "/other/garbage", event: typed("TaskExit", Buffer.from([0xff, 0xff, 0xff])) },
  {
    topic: "/other/host",
    event: {
      typeUrl: "type.googleapis.com/containerd.events.TaskOOM",
      value: Buffer.from(payloads.TaskOOM.encode({ containerId: "c2" }).finish()),
    },
  },
];

const filters: readonly (readonly string[])[] = [
  ...[
    "",
    "namespace",
    "namespace==events",
    "namespace==none",
    "namespace!=events",
    "topic",
    "topic==/tasks/exit",
    'topic=="/tasks/exit"',
    "topic~=|^/tasks/|",
    "topic~=^/tasks/",
    "topic~=/oom/",
    "topic!=/tasks/exit",
  ],
  ...[
    "namespace==events,topic~=|^/tasks/|",
    "event",
    "event==1",
    "event!=1",
    "timestamp",
    "unknown",
    "unknown!=1",
    "topic==",
    "topic===",
  ],
  ...[
    "event.container_id",
    "event.container_id==c1",
    "event.containerid==c1",
    "event.containerId==c1",
    "event.container_id~=^c",
    "event.container_id!=c1",
    "event.id",
    "event.id==exec",
    "event.id==c4",
  ],
  ...[
    "event.pid",
    "event.pid==7",
    "event.exit_status",
    "event.exit_status==3",
    "event.exited_at",
    "event.bundle==/b",
    "event.io",
    "event.io.stdin==in",
    "event.io.terminal",
    "event.io.terminal==true",
    "event.io.stdout",
    "event.rootfs",
    "event.checkpoint==cp",
  ],
  ...[
    "event.image==i",
    "event.runtime",
    "event.runtime.name==r",
    "event.runtime.options",
    "event.labels",
    "event.labels.a==1",
    'event.labels."x.y/z"==2',
    "event.labels.x.y/z==2",
    "event.labels.none",
    "event.snapshot_key==k",
    "event.snapshotkey==k",
    "event.snapshotKey==k",
  ],
  ...[
    "event.name==n",
    "event.name==i",
    "event.key==k",
    "event.parent==p",
    "event.snapshotter",
    "event.digest==d",
    "event.none",
    "event.none!=1",
    "event.value",
  ],
].map((filter) => [filter]);

const several: readonly (readonly string[])[] = [
  [],
  ["topic==/tasks/oom", "topic==/content/delete"],
  ["topic==/tasks/oom", "topic==="],
  ["topic==none", "event.id==exec"],
];

const subscribing: Scenario = {
  name: "subscriptions",
  calls: [
    ...[...filters, ...several].map((list) => subscribed(`filters ${JSON.stringify(list)}`, list, shown)),
    subscribed("with a namespace, which is ignored", ["topic==/tasks/oom"], shown, { namespace: "elsewhere" }),
    subscribed("with a malformed namespace", ["topic==/tasks/oom"], shown, { namespace: "a b" }),
  ],
};

/** Over ttrpc, at the daemon's other socket. */
function ttrpcForward(name: string, envelope: object): ComparedCall {
  const { fullName, methods } = eventsTtrpc.EventsDefinition;
  return {
    name,
    path: `/${fullName}/${methods.forward.name}`,
    later: [],
    deadly: false,
    async run({ memory }) {
      const client = await TtrpcClient.connect(`unix://${memory.daemon.address}.ttrpc`);
      try {
        const request = eventsTtrpc.ForwardRequest.fromPartial({ envelope });
        return {
          code: "OK",
          message: "",
          messages: [await client.call(eventsTtrpc.EventsDefinition, "forward", request)],
        };
      } catch (error) {
        if (!(error instanceof TtrpcError)) throw error;
        return { code: status[error.code]!, message: error.message, messages: [] };
      } finally {
        client.close();
      }
    },
  };
}

export const scenarios: readonly Scenario[] = [publishing, subscribing];
