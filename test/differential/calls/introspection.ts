/** containerd.services.introspection.v1.Introspection, containerd.services.version.v1.Version and grpc.health.v1.Health. */
import { health, introspection, version } from "../../../src/wire/mod.ts";
import { callsOf, type Scenario } from "../scenario.ts";

const call = callsOf(introspection.IntrospectionDefinition, {});
const versions = callsOf(version.VersionDefinition, {});
const checks = callsOf(health.HealthDefinition, {});

/** Plugins that clients look for, one filter each; then what filters may do. */
const filters: readonly (readonly string[])[] = [
  ["type==io.containerd.snapshotter.v1,id==overlayfs"],
  ["type==io.containerd.snapshotter.v1, id==native"],
  ['type=="io.containerd.snapshotter.v1",id=="overlayfs"'],
  ["type==io.containerd.runtime.v2"],
  ["type==io.containerd.runtime.v1", "type==io.containerd.runtime.v2"],
  ["type==io.containerd.content.v1"],
  ["type==io.containerd.metadata.v1"],
  ["type==io.containerd.differ.v1"],
  ["type==io.containerd.gc.v1"],
  ["type==io.containerd.grpc.v1"],
  ["type==io.containerd.service.v1"],
  ["type==io.containerd.internal.v1"],
  ["type==io.containerd.event.v1"],
  ["type==io.containerd.lease.v1"],
  ["type==io.containerd.monitor.v1"],
  ["id==restart"],
  ["id==opt"],
  ["id==none"],
  ["type~=^none", "id==scheduler"],
  ["platforms", "capabilities", "exports"],
  ["type===x"],
  ["id=="],
];

export const scenarios: readonly Scenario[] = [
  {
    name: "introspection",
    calls: [
      ...filters.map((list) => call(`plugins by ${JSON.stringify(list)}`, "plugins", { filters: [...list] })),
      call("all plugins", "plugins", {}),
      call("plugins in a namespace", "plugins", { filters: ["id==scheduler"] }, { namespace: "a b" }),
      call("server", "server", {}),
      call("server in a namespace", "server", {}, { namespace: "any" }),
    ],
  },
  {
    name: "version",
    calls: [
      versions("version", "version", {}),
      versions("version in a malformed namespace", "version", {}, { namespace: "-" }),
    ],
  },
  {
    name: "health",
    calls: [
      checks("check", "check", {}),
      checks("check an unknown service", "check", { service: "containerd.services.images.v1.Images" }),
      checks("check in a malformed namespace", "check", {}, { namespace: "-" }),
      // Without an end of its own: given up after its first answer.
      checks("watch", "watch", {}, { firstOnly: true }),
      checks("watch an unknown service", "watch", { service: "unknown" }, { firstOnly: true }),
    ],
  },
];
