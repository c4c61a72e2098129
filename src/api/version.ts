/** containerd.services.version.v1.Version. */
import type { version as wire } from "../wire/mod.ts";
import type { Service } from "./service.ts";

export interface VersionDependencies {
  /** What clients take for containerd's version: they parse it, and use the services that came with it. */
  readonly version: string;
  readonly revision: string;
}

export function versionService({ version, revision }: VersionDependencies): Service<typeof wire.VersionDefinition> {
  return {
    version: async () => ({ version, revision }),
  };
}
