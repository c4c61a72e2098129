/**
 * The daemon's configuration: flags over a TOML file over defaults. Owns the names, types and bounds of every setting; what the
 * configuration does not name is an error, for a setting that is silently ignored is one that its owner believes in.
 */
import { readFileSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { parseArgs } from "node:util";
import { parse } from "smol-toml";
import { type SharingPolicy, sharingPolicies } from "./content/mod.ts";
import { differsOf, mounterOf, ownDiffer, type ProxyPlugin, proxyOf } from "./proxy-plugins.ts";
import {
  ConfigError,
  entriesOf,
  oneOf,
  optionalInteger,
  refuseUnknown,
  type Table,
  tableOf,
  trueOrFalse,
} from "./settings.ts";
import { defaultShimSettings, type ShimSettings, shimCgroups, shimGroupings, sparesMax } from "./tasks/mod.ts";

export { ConfigError } from "./settings.ts";
export type { ProxyPlugin } from "./proxy-plugins.ts";

export const logLevels = ["fatal", "error", "warn", "info", "debug", "trace"] as const;
export type LogLevel = (typeof logLevels)[number];

/** All paths are absolute. */
export interface Config {
  /** What must outlive a reboot: the log, the tables, content and snapshots. */
  readonly root: string;
  /** What need not: bundles and sockets of what runs. */
  readonly state: string;
  /** Path of the gRPC socket. */
  readonly address: string;
  /** Path of the ttrpc socket, which shims report to. */
  readonly ttrpcAddress: string;
  readonly logLevel: LogLevel;
  readonly log: {
    /** Size of a new segment file in bytes; undefined leaves it to the log. */
    readonly segmentBytes: number | undefined;
  };
  readonly content: {
    /** Whether a writer may take what another namespace uploaded. */
    readonly sharing: SharingPolicy;
  };
  readonly collection: {
    /** Whether what nothing reaches any more is collected by itself, or only when somebody asks. */
    readonly automatic: boolean;
  };
  /** Which shim serves a runtime: absolute paths by name. The names of runc are served by our own where nothing is said. */
  readonly runtimes: ReadonlyMap<string, string>;
  readonly shim: ShimSettings;
  /** Programs that mount a type: absolute paths by type. */
  readonly mounters: ReadonlyMap<string, string>;
  /** Parts that other processes serve, by the name that clients know them by. */
  readonly proxies: ReadonlyMap<string, ProxyPlugin>;
  readonly diff: {
    /** Who is asked to apply and compare layers, in this order: `walking`, the daemon itself, or proxies of type diff. */
    readonly order: readonly string[];
  };
}

/** What the command line asks for. */
export type Invocation =
  | { readonly kind: "run"; readonly config: Config }
  | { readonly kind: "help" }
  | { readonly kind: "version" };

const ttrpcSuffix = ".ttrpc";

/** The kernel takes a unix socket's path of 107 bytes, and the ttrpc socket's has to fit too. */
export const addressBytesMax = 107 - ttrpcSuffix.length;

/** A segment has to hold several group commits. */
export const segmentBytesMin = 1024 * 1024;
export const segmentBytesMax = 1024 * 1024 * 1024;

const defaults = {
  root: "/var/lib/shiplog",
  state: "/run/shiplog",
  address: "/run/shiplog/shiplog.sock",
  log_level: "info",
} as const;

export const usage = `shiplogd: a container runtime daemon whose only truth is an append-only log

Usage: shiplogd [flags]

  --config FILE       settings in TOML; flags win over them
  --root DIR          what must outlive a reboot        (${defaults.root})
  --state DIR         what need not                     (${defaults.state})
  --address SOCKET    where to serve gRPC; ttrpc is at SOCKET${ttrpcSuffix}
                                                        (${defaults.address})
  --log-level LEVEL   ${logLevels.join(", ")}
                                                        (${defaults.log_level})
  --version           print the version
  --help              print this

Settings of the file: root, state, address, log_level; in [log] segment_bytes; in [content]
sharing_policy (shared, or isolated: content of other namespaces has to be uploaded again);
in [collection] automatic (true, or false: garbage is collected only when somebody asks);
in [runtimes] "NAME" = "/path/of/a/shim", in place of the one that would serve that runtime;
in [shim] grouping (sandbox: containers whose annotations say so share a shim; container; or
namespace), cgroup (container: the shim's work is on its container's account; or none), spares
(warm shims that wait for a container, 0 to 8);
in [mounters.TYPE] command, a program that mounts what is of this type, called as mount(8) calls
its helpers; in [proxy_plugins.NAME] type (snapshot, diff), address (the socket of the process that
serves it), snapshotter (which of its own is meant, NAME where nothing is said), capabilities and
exports (what the list of plugins tells); in [diff] order, who is asked to apply and compare layers:
walking, which is shiplogd itself, and names of proxies of type diff.
`;

const flags = {
  config: { type: "string" },
  root: { type: "string" },
  state: { type: "string" },
  address: { type: "string" },
  "log-level": { type: "string" },
  version: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

/** Reads the command line, without the program's own name, and the file that it names. @throws ConfigError */
export function loadConfig(argv: readonly string[]): Invocation {
  const { values } = parseFlags(argv);
  if (values.help) return { kind: "help" };
  if (values.version) return { kind: "version" };

  const file = readSettings(values.config);
  const path = (name: "root" | "state" | "address") =>
    resolve(nonEmpty(name, values[name] ?? file[name] ?? defaults[name]));
  const address = path("address");
  const config: Config = {
    root: path("root"),
    state: path("state"),
    address,
    ttrpcAddress: `${address}${ttrpcSuffix}`,
    logLevel: logLevel(values["log-level"] ?? file.log_level ?? defaults.log_level),
    log: file.log,
    content: file.content,
    collection: file.collection,
    runtimes: file.runtimes,
    shim: file.shim,
    mounters: file.mounters,
    proxies: file.proxies,
    diff: file.diff,
  };
  const length = Buffer.byteLength(address);
  if (length > addressBytesMax) {
    throw new ConfigError(`the address ${address} has ${length} bytes; a socket's path may have ${addressBytesMax}`);
  }
  if (config.root === config.state) throw new ConfigError(`root and state are both ${config.root}; they must differ`);
  return { kind: "run", config };
}

function parseFlags(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: flags, strict: true, allowPositionals: false });
  } catch (error) {
    throw new ConfigError((error as Error).message, { cause: error });
  }
}

interface Settings
  extends Pick<Config, "log" | "content" | "collection" | "runtimes" | "shim" | "mounters" | "proxies" | "diff"> {
  readonly root?: string;
  readonly state?: string;
  readonly address?: string;
  readonly log_level?: string;
}

const texts = ["root", "state", "address", "log_level"] as const;
const tables = {
  log: ["segment_bytes"],
  content: ["sharing_policy"],
  collection: ["automatic"],
  diff: ["order"],
  shim: ["grouping", "cgroup", "spares"],
} as const;

function readSettings(file: string | undefined): Settings {
  const document = file === undefined ? {} : parseFile(file);
  const where = (key: string) => `${file}: ${key}`;
  refuseUnknown(document, [...texts, ...Object.keys(tables), "runtimes", "mounters", "proxy_plugins"], where);
  const table = (name: keyof typeof tables): Table => {
    const found = tableOf(document, name, where);
    refuseUnknown(found, tables[name], (key) => where(`${name}.${key}`));
    return found;
  };
  const strings: Record<string, string> = {};
  for (const key of texts) {
    const value = document[key];
    if (value === undefined) continue;
    if (typeof value !== "string") throw new ConfigError(`${where(key)} must be a string`);
    strings[key] = value;
  }
  const [log, content, collection, shim] = [table("log"), table("content"), table("collection"), table("shim")];
  const diff = table("diff");
  const proxies = entriesOf(tableOf(document, "proxy_plugins", where), proxyOf, (name) =>
    where(`proxy_plugins.${name}`),
  );
  return {
    ...strings,
    log: {
      segmentBytes: optionalInteger(log.segment_bytes, [segmentBytesMin, segmentBytesMax], where("log.segment_bytes")),
    },
    content: { sharing: oneOf(sharingPolicies, content.sharing_policy ?? "shared", where("content.sharing_policy")) },
    collection: { automatic: trueOrFalse(collection.automatic ?? true, where("collection.automatic")) },
    runtimes: runtimes(tableOf(document, "runtimes", where), (name) => where(`runtimes.${name}`)),
    mounters: entriesOf(tableOf(document, "mounters", where), mounterOf, (name) => where(`mounters.${name}`)),
    proxies,
    diff: { order: differsOf(diff.order ?? [ownDiffer], proxies, where("diff.order")) },
    shim: {
      grouping: oneOf(shimGroupings, shim.grouping ?? defaultShimSettings.grouping, where("shim.grouping")),
      cgroup: oneOf(shimCgroups, shim.cgroup ?? defaultShimSettings.cgroup, where("shim.cgroup")),
      spares: optionalInteger(shim.spares, [0, sparesMax], where("shim.spares")) ?? defaultShimSettings.spares,
    },
  };
}

function parseFile(file: string): Table {
  try {
    return parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new ConfigError(`cannot read the configuration ${file}: ${(error as Error).message}`, { cause: error });
  }
}

/** That the shim is there is found out when it is needed: it may be installed later. */
function runtimes(table: Table, where: (name: string) => string): ReadonlyMap<string, string> {
  const entries = Object.entries(table).map(([name, path]) => {
    if (typeof path !== "string" || !isAbsolute(path))
      throw new ConfigError(`${where(name)} must be the absolute path of a shim`);
    return [name, path] as const;
  });
  return new Map(entries);
}

function logLevel(value: string): LogLevel {
  const level = logLevels.find((known) => known === value);
  if (level === undefined)
    throw new ConfigError(`the log level must be one of ${logLevels.join(", ")}, not "${value}"`);
  return level;
}

function nonEmpty(name: string, value: string): string {
  if (value === "") throw new ConfigError(`${name} must not be empty`);
  return value;
}
