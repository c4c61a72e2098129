/** A fixed list of facts as the wire brings them: a container's life, and what a client might put in to do harm. */
import { Packr } from "msgpackr";
import { Fact } from "../../src/wire/gen/shiplog/events/v1/log.ts";

const packr = new Packr({ useRecords: false });

/** 2023-11-14T22:13:20.123456789Z */
const start = 1_700_000_000_123_456_789n;

const created = {
  ...{ labels: { tier: "front" }, image: "docker.io/library/busybox:1", snapshotter: "overlayfs", snapshotKey: "web", sandbox: "" },
  ...{ runtime: { name: "io.containerd.runc.v2", options: null }, spec: { typeUrl: "spec", value: Buffer.from("{}") }, extensions: {} },
};

const life: readonly { stream: string; type: string; request: string; data: unknown; cause?: bigint; client?: string }[] = [
  { stream: "container/web", type: "ContainerCreated", request: "aa01", data: created },
  { stream: "task/web", type: "TaskCreating", request: "aa02", data: { bundle: "/b", runtime: "io.containerd.runc.v2", rootfs: [] } },
  { stream: "task/web", type: "TaskCreated", request: "aa02", data: { pid: 4321, shim: { address: "unix:///s", version: 2 } }, cause: 1n },
  { stream: "task/web", type: "TaskSignalling", request: "aa03", data: { execId: "", signal: 9, all: true } },
  { stream: "task/web", type: "TaskExited", request: "", data: { pid: 4321, status: 137, exitedAt: start, known: true }, client: "shim" },
  { stream: "task/web", type: "TaskCreateFailed", request: "aa04", data: { message: "no such file: \u001b[31mred\nnext line" } },
  { stream: "snapshot/overlayfs/web", type: "SnapshotSealed", request: "aa04", data: { key: "w", parent: "", size: 1_234_567, inodes: 12 } },
  { stream: "future/x", type: "FutureHappened", request: "aa05", data: { colour: "blue", count: 3, nested: { a: 1 } } },
];

export const facts: readonly Fact[] = life.map(({ stream, type, request, data, cause, client = "" }, index) =>
  Fact.fromPartial({
    position: BigInt(index),
    timeUnixNano: start + BigInt(index) * 1_000_000_000n,
    namespace: "default",
    stream,
    streamVersion: BigInt(index),
    type,
    schemaVersion: 1,
    principal: { uid: 0, gid: 0, pid: 99, client },
    requestId: request,
    ...(cause === undefined ? {} : { cause }),
    data: packr.pack(data),
  }),
);
