/**
 * The parts of the daemon under the names that containerd's clients look for. Owns the list; it is data, and nothing is loaded by it.
 *
 * What is looked for: the runtime's platforms (buildkit), a snapshotter's platforms, root and capabilities (the Go client, nerdctl,
 * dockerd), the restart monitor's policies (nerdctl), the path that `ctr install` unpacks to. Only snapshotters, differ and runtimes
 * have platforms. Names and `requires` are those that containerd 1.6.20 lists.
 */

export interface PluginPlatform {
  readonly os: string;
  readonly architecture: string;
}

export interface Plugin {
  readonly type: string;
  readonly id: string;
  /** Types of the plugins that it needs. */
  readonly requires: readonly string[];
  readonly platforms: readonly PluginPlatform[];
  readonly exports: Readonly<Record<string, string>>;
  readonly capabilities: readonly string[];
}

export interface PluginSources {
  readonly platform: PluginPlatform;
  /** Directory of blobs and ingests. */
  readonly contentRoot: string;
  readonly snapshotters: readonly {
    readonly name: string;
    readonly root: string;
    readonly capabilities: readonly string[];
    readonly exports?: Readonly<Record<string, string>>;
  }[];
  /** Those that other processes serve. */
  readonly differs?: readonly {
    readonly name: string;
    readonly capabilities: readonly string[];
    readonly exports: Readonly<Record<string, string>>;
  }[];
  /** Where `ctr install` unpacks to. */
  readonly optPath: string;
  /** Policies that the restart monitor keeps; empty when there is no monitor. */
  readonly restartPolicies: readonly string[];
}

const CONTENT = "io.containerd.content.v1";
const DIFFER = "io.containerd.differ.v1";
const EVENT = "io.containerd.event.v1";
const GC = "io.containerd.gc.v1";
const GRPC = "io.containerd.grpc.v1";
const INTERNAL = "io.containerd.internal.v1";
const METADATA = "io.containerd.metadata.v1";
const RUNTIME = "io.containerd.runtime.v2";
const SERVICE = "io.containerd.service.v1";
const SNAPSHOTTER = "io.containerd.snapshotter.v1";

/** The gRPC services, each with what it needs. */
const grpc: Readonly<Record<string, readonly string[]>> = {
  introspection: [SERVICE],
  containers: [SERVICE],
  content: [SERVICE],
  diff: [SERVICE],
  events: [EVENT],
  healthcheck: [],
  images: [SERVICE],
  leases: [SERVICE],
  namespaces: [SERVICE],
  snapshots: [SERVICE],
  tasks: [SERVICE],
  version: [],
};

/** What stands behind them. */
const services: Readonly<Record<string, readonly string[]>> = {
  introspection: [],
  containers: [EVENT, METADATA],
  content: [EVENT, METADATA],
  diff: [DIFFER],
  images: [METADATA, GC],
  leases: [METADATA],
  namespaces: [EVENT, METADATA],
  snapshots: [EVENT, METADATA],
  tasks: [EVENT, RUNTIME, METADATA],
};

export function plugins({
  platform,
  contentRoot,
  snapshotters,
  differs = [],
  optPath,
  restartPolicies,
}: PluginSources): readonly Plugin[] {
  const platforms = [platform];
  return [
    plugin(CONTENT, "content", { exports: { root: contentRoot } }),
    ...snapshotters.map(({ name, root, capabilities, exports }) =>
      plugin(SNAPSHOTTER, name, { platforms, exports: { ...(root !== "" && { root }), ...exports }, capabilities }),
    ),
    plugin(METADATA, "bolt", { requires: [CONTENT, SNAPSHOTTER] }),
    plugin(DIFFER, "walking", { requires: [METADATA], platforms }),
    ...differs.map(({ name, capabilities, exports }) => plugin(DIFFER, name, { platforms, capabilities, exports })),
    plugin(EVENT, "exchange"),
    plugin(GC, "scheduler", { requires: [METADATA] }),
    plugin("io.containerd.lease.v1", "manager", { requires: [METADATA] }),
    plugin(RUNTIME, "task", { requires: [EVENT, METADATA], platforms }),
    ...Object.entries(services).map(([name, requires]) => plugin(SERVICE, `${name}-service`, { requires })),
    ...Object.entries(grpc).map(([name, requires]) => plugin(GRPC, name, { requires })),
    plugin(INTERNAL, "opt", { exports: { path: optPath } }),
    ...(restartPolicies.length === 0
      ? []
      : [plugin(INTERNAL, "restart", { requires: [EVENT, SERVICE], capabilities: restartPolicies })]),
  ];
}

function plugin(type: string, id: string, rest: Partial<Omit<Plugin, "type" | "id">> = {}): Plugin {
  return { type, id, requires: [], platforms: [], exports: {}, capabilities: [], ...rest };
}
