/**
 * The daemon's configuration: flags over a TOML file over defaults. Owns the names, types and bounds of every setting; what the
 * configuration does not name is an error, for a setting that is silently ignored is one that its owner believes in.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { parse } from "smol-toml";
import { type SharingPolicy, sharingPolicies } from "./content/mod.ts";

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
}

/** What the command line asks for. */
export type Invocation =
  | { readonly kind: "run"; readonly config: Config }
  | { readonly kind: "help" }
  | { readonly kind: "version" };

/** A configuration that cannot be used; the message is for the one who wrote it. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

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
in [collection] automatic (true, or false: garbage is collected only when somebody asks).
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

  const file = values.config === undefined ? noSettings : readSettings(values.config);
  const path = (name: "root" | "state" | "address") =>
    resolve(nonEmpty(name, values[name] ?? file[name] ?? defaults[name]));
  const address = path("address");
  const config: Config = {
    root: path("root"),
    state: path("state"),
    address,
    ttrpcAddress: `${address}${ttrpcSuffix}`,
    logLevel: logLevel(values["log-level"] ?? file.log_level ?? defaults.log_level),
    log: { segmentBytes: file.segmentBytes },
    content: { sharing: file.sharing },
    collection: { automatic: file.automatic },
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

interface Settings {
  readonly root?: string;
  readonly state?: string;
  readonly address?: string;
  readonly log_level?: string;
  readonly segmentBytes: number | undefined;
  readonly sharing: SharingPolicy;
  readonly automatic: boolean;
}

const noSettings: Settings = { segmentBytes: undefined, sharing: "shared", automatic: true };

function readSettings(file: string): Settings {
  const where = (key: string) => `${file}: ${key}`;
  let document: Record<string, unknown>;
  try {
    document = parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new ConfigError(`cannot read the configuration ${file}: ${(error as Error).message}`, { cause: error });
  }
  refuseUnknown(document, ["root", "state", "address", "log_level", "log", "content", "collection"], where);
  const log = document.log ?? {};
  if (typeof log !== "object" || Array.isArray(log)) throw new ConfigError(`${where("log")} must be a table`);
  refuseUnknown(log as Record<string, unknown>, ["segment_bytes"], (key) => where(`log.${key}`));
  const content = document.content ?? {};
  if (typeof content !== "object" || Array.isArray(content))
    throw new ConfigError(`${where("content")} must be a table`);
  refuseUnknown(content as Record<string, unknown>, ["sharing_policy"], (key) => where(`content.${key}`));
  const collection = document.collection ?? {};
  if (typeof collection !== "object" || Array.isArray(collection))
    throw new ConfigError(`${where("collection")} must be a table`);
  refuseUnknown(collection as Record<string, unknown>, ["automatic"], (key) => where(`collection.${key}`));
  const automatic = (collection as Record<string, unknown>).automatic ?? true;
  if (typeof automatic !== "boolean") throw new ConfigError(`${where("collection.automatic")} must be true or false`);

  const texts: Record<string, string> = {};
  for (const key of ["root", "state", "address", "log_level"]) {
    const value = document[key];
    if (value === undefined) continue;
    if (typeof value !== "string") throw new ConfigError(`${where(key)} must be a string`);
    texts[key] = value;
  }
  return {
    ...texts,
    segmentBytes: segmentBytes((log as Record<string, unknown>).segment_bytes, where("log.segment_bytes")),
    sharing: sharingPolicy(
      (content as Record<string, unknown>).sharing_policy ?? "shared",
      where("content.sharing_policy"),
    ),
    automatic,
  };
}

function sharingPolicy(value: unknown, where: string): SharingPolicy {
  const policy = sharingPolicies.find((known) => known === value);
  if (policy === undefined) throw new ConfigError(`${where} must be one of ${sharingPolicies.join(", ")}`);
  return policy;
}

function refuseUnknown(table: Record<string, unknown>, known: readonly string[], where: (key: string) => string): void {
  const unknown = Object.keys(table).filter((key) => !known.includes(key));
  if (unknown.length > 0)
    throw new ConfigError(`${unknown.map(where).join(", ")}: no such setting; known here: ${known.join(", ")}`);
}

function segmentBytes(value: unknown, where: string): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "number" || !Number.isInteger(value) || value < segmentBytesMin || value > segmentBytesMax) {
    throw new ConfigError(`${where} must be an integer from ${segmentBytesMin} to ${segmentBytesMax}`);
  }
  return value;
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
