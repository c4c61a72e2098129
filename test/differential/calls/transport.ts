/** What holds for every call: the limits of messages, unknown names, and bytes that are no message. */
import { containers } from "../../../src/wire/mod.ts";
import { runtimeSpec } from "../../harness/spec.ts";
import { type Headers, invokeRaw } from "../invoke.ts";
import { callsOf, type ComparedCall, type Scenario } from "../scenario.ts";

const namespace = "transport";
const call = callsOf(containers.ContainersDefinition, { namespace });
const get = "/containerd.services.containers.v1.Containers/Get";
const MiB = 1024 * 1024;

function raw(name: string, path: string, bytes: Buffer, headers: Headers = { namespace }): ComparedCall {
  return { name, path, later: [], deadly: false, run: ({ client }) => invokeRaw(client, path, [bytes], headers) };
}

/** A request of exactly so many bytes: one field of text, with its tag and its length. */
function getOf(bytes: number): Buffer {
  const text = Buffer.alloc(bytes - 5, "x");
  const length = text.length;
  const head = [
    0x0a,
    (length & 0x7f) | 0x80,
    ((length >> 7) & 0x7f) | 0x80,
    ((length >> 14) & 0x7f) | 0x80,
    length >> 21,
  ];
  return Buffer.concat([Buffer.from(head), text]);
}

const spec = (bytes: number) => ({ typeUrl: "spec", value: Buffer.alloc(bytes, "s") });
const container = (id: string, bytes: number) => ({ container: { id, runtime: { name: "r" }, spec: spec(bytes) } });

export const scenarios: readonly Scenario[] = [
  {
    name: "transport",
    calls: [
      raw("an unknown method", "/containerd.services.containers.v1.Containers/Unknown", Buffer.alloc(0)),
      raw("an unknown service", "/containerd.services.unknown.v1.Unknown/Get", Buffer.alloc(0)),
      raw("a service of a later containerd", "/containerd.services.mounts.v1.Mounts/Activate", Buffer.alloc(0)),
      raw(
        "a method of a later containerd",
        "/containerd.services.introspection.v1.Introspection/PluginInfo",
        Buffer.alloc(0),
      ),
      raw("a service that ttrpc alone has", "/containerd.services.events.ttrpc.v1.Events/Forward", Buffer.alloc(0)),
      raw("a path of one part", "/nothing", Buffer.alloc(0)),
      raw("garbage", get, Buffer.from([0xff, 0xff, 0xff])),
      raw("a cut message", get, Buffer.from([0x0a, 0x05, 0x61])),
      raw("a field of a later containerd", get, Buffer.from([0x0a, 0x01, 0x61, 0xf8, 0x07, 0x01])),
      raw("text that is no UTF-8", get, Buffer.from([0x0a, 0x01, 0xff])),
      raw("an empty message", get, Buffer.alloc(0)),
      raw("a message of 16 MiB", get, getOf(16 * MiB)),
      raw("a message of 16 MiB and a byte", get, getOf(16 * MiB + 1)),
      raw("a message of 17 MiB", get, getOf(17 * MiB)),
      call("a container of 15.9 MiB", "create", container("large", 15.9 * MiB)),
      call("get a container of 15.9 MiB", "get", { id: "large" }),
      call("a container beside it", "create", container("beside", 0.2 * MiB)),
      call("list more than 16 MiB", "list", {}),
      call("list more than 16 MiB by a filter", "list", { filters: ["id==beside"] }),
      call("delete the large one", "delete", { id: "large" }),
      call("a small spec again", "create", {
        container: { id: "small", runtime: { name: "r" }, spec: runtimeSpec(["true"]) },
      }),
    ],
  },
];
