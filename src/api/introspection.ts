/**
 * containerd.services.introspection.v1.Introspection: what the daemon is made of, as clients ask before they choose a snapshotter or
 * a platform. Source: services/introspection/local.go.
 */
import type { introspection as wire } from "../wire/mod.ts";
import { type Adaptor, parseFilter } from "./filter/mod.ts";
import type { Plugin } from "./plugins.ts";
import type { Service } from "./service.ts";

export interface IntrospectionDependencies {
  /** The daemon's own, the same after every restart: buildkit and swarm know it by this. */
  readonly uuid: string;
  readonly pid: number;
  /** Inode of the daemon's pid namespace. */
  readonly pidns: bigint;
  readonly plugins: readonly Plugin[];
}

export function introspectionService({
  uuid,
  pid,
  pidns,
  plugins,
}: IntrospectionDependencies): Service<typeof wire.IntrospectionDefinition> {
  return {
    async plugins({ filters }) {
      const wanted = parseFilter(filters, "twice");
      return { plugins: plugins.filter((plugin) => wanted(adaptor(plugin))).map(message) };
    },

    async server() {
      return { uuid, pid: BigInt(pid), pidns, deprecations: [] };
    },
  };
}

function adaptor({ type, id }: Plugin): Adaptor {
  return ([field]) => (field === "type" ? type : field === "id" ? id : undefined);
}

function message({ type, id, requires, platforms, exports, capabilities }: Plugin): wire.Plugin {
  return {
    type,
    id,
    requires: [...requires],
    platforms: platforms.map(({ os, architecture }) => ({
      os,
      architecture,
      variant: "",
      osVersion: "",
      osFeatures: [],
    })),
    exports: { ...exports },
    capabilities: [...capabilities],
    initErr: undefined,
  };
}
