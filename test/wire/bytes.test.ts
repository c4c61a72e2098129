import assert from "node:assert/strict";
import { test } from "node:test";
import * as wire from "../../src/wire/mod.ts";

/**
 * Bytes worked out by hand from the API's field numbers, each with its tag: (number << 3) | wire type, where 0 is a varint
 * and 2 is a length with bytes.
 */
function bytes(...parts: (string | number)[]): Buffer {
  return Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : Buffer.from([part]))));
}

/** -62135596800 as a varint: a negative int64 takes ten bytes. */
const goZeroSeconds = [0x80, 0x92, 0xb8, 0xc3, 0x98, 0xfe, 0xff, 0xff, 0xff, 0x01];

interface Golden<T> {
  readonly name: string;
  readonly codec: wire.MessageCodec<T>;
  readonly message: T;
  readonly bytes: Buffer;
}

function golden<T>(name: string, codec: wire.MessageCodec<T>, message: T, golden: Buffer): Golden<T> {
  return { name, codec, message, bytes: golden };
}

const goldens = [
  golden(
    "Mount",
    wire.Mount,
    { type: "bind", source: "/a", target: "", options: ["ro", "rbind"] },
    bytes(0x0a, 4, "bind", 0x12, 2, "/a", 0x22, 2, "ro", 0x22, 5, "rbind"),
  ),
  golden(
    "TaskExit of a running task's zero time",
    wire.payloads.TaskExit,
    {
      containerId: "c",
      id: "c",
      pid: 300,
      exitStatus: 137,
      exitedAt: wire.timestampFromUnixNano(undefined),
    },
    bytes(0x0a, 1, "c", 0x12, 1, "c", 0x18, 0xac, 0x02, 0x20, 0x89, 0x01, 0x2a, 11, 0x08, ...goZeroSeconds),
  ),
  golden(
    "Envelope",
    wire.events.Envelope,
    {
      timestamp: { seconds: 1n, nanos: 2 },
      namespace: "ns",
      topic: "/t",
      event: { typeUrl: "containerd.events.TaskOOM", value: bytes(0x0a, 1, "c") },
    },
    bytes(
      ...[0x0a, 4, 0x08, 1, 0x10, 2, 0x12, 2, "ns", 0x1a, 2, "/t"],
      ...[0x22, 32, 0x0a, 25, "containerd.events.TaskOOM", 0x12, 3, 0x0a, 1, "c"],
    ),
  ),
  golden(
    "SnapshotPrepare with the snapshotter of later versions",
    wire.payloads.SnapshotPrepare,
    { key: "k", parent: "p", snapshotter: "overlayfs" },
    bytes(0x0a, 1, "k", 0x12, 1, "p", 0x2a, 9, "overlayfs"),
  ),
  golden(
    "UpdateNamespaceRequest with a label and a mask",
    wire.namespaces.UpdateNamespaceRequest,
    { namespace: { name: "n", labels: { a: "b" } }, updateMask: ["labels.a"] },
    bytes(0x0a, 11, 0x0a, 1, "n", 0x12, 6, 0x0a, 1, "a", 0x12, 1, "b", 0x12, 10, 0x0a, 8, "labels.a"),
  ),
  golden(
    "WriteContentRequest that commits",
    wire.content.WriteContentRequest,
    {
      action: wire.content.WriteAction.COMMIT,
      ref: "r",
      total: 3n,
      expected: "",
      offset: 1n,
      data: bytes("xy"),
      labels: {},
    },
    bytes(0x08, 2, 0x12, 1, "r", 0x18, 3, 0x28, 1, 0x32, 2, "xy"),
  ),
  golden(
    "DiffResponse, whose only field is number 3",
    wire.diff.DiffResponse,
    { diff: { mediaType: "m", digest: "d", size: 5n, annotations: {} } },
    bytes(0x1a, 8, 0x0a, 1, "m", 0x12, 1, "d", 0x18, 5),
  ),
  golden(
    "shim StateResponse",
    wire.shim.StateResponse,
    {
      id: "c",
      bundle: "",
      pid: 7,
      status: wire.TaskStatus.STOPPED,
      stdin: "",
      stdout: "",
      stderr: "",
      terminal: true,
      exitStatus: 1,
      exitedAt: undefined,
      execId: "e",
    },
    bytes(0x0a, 1, "c", 0x18, 7, 0x20, 3, 0x40, 1, 0x48, 1, 0x5a, 1, "e"),
  ),
];

for (const { name, codec, message, bytes: expected } of goldens) {
  test(`${name} encodes to containerd's bytes and decodes from them`, () => {
    assert.equal(Buffer.from(codec.encode(message as never).finish()).toString("hex"), expected.toString("hex"));
    assert.deepEqual(codec.decode(expected), message);
  });
}

test("an unknown field is passed over when it comes from a later version", () => {
  const later = bytes(0x0a, 4, "bind", 0xfa, 0x01, 3, "new", 0x12, 2, "/a");
  assert.deepEqual(wire.Mount.decode(later), { type: "bind", source: "/a", target: "", options: [] });
});

test("bytes that stop short are refused", () => {
  assert.throws(() => wire.Mount.decode(bytes(0x0a, 9, "bind")));
});

test("every event payload is listed under the package that its codec was generated for", () => {
  for (const [typeUrl, codec] of Object.entries(wire.payloadByTypeUrl)) {
    const name = typeUrl.slice(typeUrl.lastIndexOf(".") + 1);
    const owner = name.startsWith("Image") ? "containerd.services.images.v1" : "containerd.events";
    assert.equal(typeUrl, `${owner}.${name}`);
    assert.equal(codec, wire.payloads[name as keyof typeof wire.payloads], name);
  }
});
