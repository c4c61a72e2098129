/** Parts of the daemon that other programs are: those that serve one on a socket, and those that mount. Owns their settings. */
import { absolutePath, ConfigError, oneOf, refuseUnknown, strings, type Table } from "./settings.ts";

export const proxyTypes = ["snapshot", "diff"] as const;

/** A part of the daemon that another process serves, as containerd's `proxy_plugins`. */
export interface ProxyPlugin {
  readonly type: (typeof proxyTypes)[number];
  /** Absolute path of its socket. */
  readonly address: string;
  /** Of type snapshot: which of its snapshotters is meant, its own name where nothing is said. */
  readonly snapshotter: string;
  /** What the plugin list tells of it. */
  readonly capabilities: readonly string[];
  readonly exports: Readonly<Record<string, string>>;
}

/** That the program is there is found out when it is needed. */
export function mounterOf(entry: Table, where: string): string {
  refuseUnknown(entry, ["command"], (key) => `${where}.${key}`);
  return absolutePath(entry.command, `${where}.command`);
}

/** Rows of snapshots are named `<snapshotter>/<key>`. */
const proxyName = /^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/;
const reservedNames = ["native", "overlayfs", "walking"];

export function proxyOf(entry: Table, where: string, name: string): ProxyPlugin {
  const at = (key: string) => `${where}.${key}`;
  refuseUnknown(entry, ["type", "address", "snapshotter", "capabilities", "exports"], at);
  if (!proxyName.test(name) || reservedNames.includes(name))
    throw new ConfigError(
      `${where}: a name of letters, digits and single . _ - between them, and none of ${reservedNames.join(", ")}`,
    );
  const { snapshotter = name, capabilities = [], exports = {} } = entry;
  if (entry.type !== "snapshot" && entry.snapshotter !== undefined)
    throw new ConfigError(`${at("snapshotter")} is for proxies of type snapshot`);
  if (typeof snapshotter !== "string" || snapshotter === "")
    throw new ConfigError(`${at("snapshotter")} must be a name`);
  if (!Array.isArray(capabilities) || !capabilities.every((each): each is string => typeof each === "string"))
    throw new ConfigError(`${at("capabilities")} must be a list of strings`);
  return {
    type: oneOf(proxyTypes, entry.type, at("type")),
    address: absolutePath(entry.address, at("address")),
    snapshotter,
    capabilities,
    exports: strings(exports, at("exports")),
  };
}

/** The name of what the daemon does itself. */
export const ownDiffer = "walking";

/** Who is asked about layers, in order. */
export function differsOf(order: unknown, proxies: ReadonlyMap<string, ProxyPlugin>, where: string): readonly string[] {
  const known = [ownDiffer, ...[...proxies].flatMap(([name, { type }]) => (type === "diff" ? [name] : []))];
  if (!Array.isArray(order) || order.length === 0)
    throw new ConfigError(`${where} must be a list of at least one name`);
  return order.map((name) => oneOf(known, name, `each of ${where}`));
}
