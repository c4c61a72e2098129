/**
 * What a log's URI asks for. Owns the names, the values and the defaults of the options; it must never let a name or a value that it does
 * not know pass. Names that Docker has mean what Docker means by them, and errors are in Docker's words (moby, daemon/logger).
 */
import { byteSize } from "./byte-size.ts";
import { formatOfProtocol, type LogFormat } from "./log-scheme.ts";

export interface LogOptions {
  readonly format: LogFormat;
  /** Absolute. */
  readonly path: string;
  /** Bytes from which on the next record goes to a new file; Infinity without rotation. */
  readonly maxSize: number;
  /** Files kept, the one being written included; at least 1. */
  readonly maxFile: number;
  /** Rotated files are compressed. */
  readonly compress: boolean;
  /** Bytes of formatted records that may wait for the disk before new ones are dropped; undefined: the process waits instead. */
  readonly dropBeyondBytes: number | undefined;
  /** What becomes of records that cannot be written: they are dropped, or kept and tried again while the process waits. */
  readonly onFull: "block" | "drop";
  /** Bytes of a line from which on it is split into partial records. */
  readonly maxLineSize: number;
  /** json-file's "attrs", in the order of the URI. */
  readonly attributes: Readonly<Record<string, string>>;
}

const lineBytesDefault = 16 * 1024;
const lineBytesMax = 1024 * 1024;
const bufferBytesDefault = 1_000_000;
/** Keeps one container's buffer from being the memory of the whole shim. */
const bufferBytesMax = 64 * 1024 * 1024;
/** Every record repeats them. */
const attributesBytesMax = 16 * 1024;

const commonNames = ["max-size", "max-file", "compress", "mode", "max-buffer-size", "on-full"];
const namesOfFormat: Readonly<Record<LogFormat, readonly string[]>> = {
  "json-file": [...commonNames, "tag"],
  cri: [...commonNames, "max-line-size"],
};

/** Reads a log's URI. @throws Error in Docker's words for what it does not know */
export function parseLogUri(uri: string, containerId: string): LogOptions {
  const url = URL.parse(uri);
  const format = url === null ? undefined : formatOfProtocol[url.protocol];
  if (url === null || format === undefined) throw new Error(`invalid log uri '${uri}'`);
  const given = givenOptions(url, format);
  const maxSize = parseMaxSize(given.get("max-size"));
  const maxFile = parseMaxFile(given.get("max-file"));
  const compress = parseBoolean(given.get("compress"));
  if (compress && (maxFile === 1 || maxSize === Number.POSITIVE_INFINITY)) {
    throw new Error("compress cannot be true when max-file is less than 2 or max-size is not set");
  }
  return {
    format,
    path: pathOf(url, uri),
    maxSize,
    maxFile,
    compress,
    dropBeyondBytes: parseBuffer(given.get("mode"), given.get("max-buffer-size")),
    onFull: parseOnFull(given.get("on-full")),
    maxLineSize: parseLineSize(given.get("max-line-size")),
    attributes: attributesOf(given, containerId),
  };
}

function pathOf(url: URL, uri: string): string {
  if (url.host !== "" || url.hash !== "")
    throw new Error(`invalid log uri '${uri}': it must be ${url.protocol}///path?options`);
  let path: string;
  try {
    path = decodeURIComponent(url.pathname);
  } catch (cause) {
    throw new Error(`invalid log uri '${uri}': its path is not percent-encoded UTF-8`, { cause });
  }
  if (!path.startsWith("/") || path.endsWith("/") || path.includes("\0")) {
    throw new Error(`invalid log uri '${uri}': its path must be absolute and name a file`);
  }
  return path;
}

function givenOptions(url: URL, format: LogFormat): ReadonlyMap<string, string> {
  const given = new Map<string, string>();
  for (const [name, value] of url.searchParams) {
    const known = namesOfFormat[format].includes(name) || (format === "json-file" && /^attr\../.test(name));
    if (!known) throw new Error(`unknown log opt '${name}' for ${format} log driver`);
    if (given.has(name)) throw new Error(`log opt '${name}' is given more than once`);
    given.set(name, value);
  }
  return given;
}

function parseMaxSize(value: string | undefined): number {
  if (value === undefined) return Number.POSITIVE_INFINITY;
  const bytes = byteSize(value, 1000);
  if (bytes <= 0) throw new Error("max-size must be a positive number");
  return bytes;
}

function parseMaxFile(value: string | undefined): number {
  if (value === undefined) return 1;
  const files = Number(value);
  if (!/^[+-]?\d+$/.test(value) || !Number.isSafeInteger(files)) {
    throw new Error(`strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`);
  }
  if (files < 1) throw new Error("max-file cannot be less than 1");
  return files;
}

function parseBoolean(value: string | undefined): boolean {
  if (value === undefined || ["0", "f", "F", "false", "False", "FALSE"].includes(value)) return false;
  if (["1", "t", "T", "true", "True", "TRUE"].includes(value)) return true;
  throw new Error(`strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`);
}

function parseBuffer(mode: string | undefined, size: string | undefined): number | undefined {
  if (mode !== undefined && mode !== "blocking" && mode !== "non-blocking") {
    throw new Error(`logger: logging mode not supported: ${mode}`);
  }
  if (mode !== "non-blocking") {
    if (size !== undefined)
      throw new Error("logger: max-buffer-size option is only supported with 'mode=non-blocking'");
    return undefined;
  }
  if (size === undefined) return bufferBytesDefault;
  let bytes: number;
  try {
    bytes = byteSize(size, 1024);
  } catch (cause) {
    throw new Error(`error parsing option max-buffer-size: ${(cause as Error).message}`, { cause });
  }
  if (bytes > bufferBytesMax) throw new Error("max-buffer-size cannot be more than 64m");
  return bytes;
}

function parseOnFull(value: string | undefined): "block" | "drop" {
  if (value === undefined || value === "drop") return "drop";
  if (value === "block") return "block";
  throw new Error(`logger: on-full not supported: ${value}`);
}

function parseLineSize(value: string | undefined): number {
  if (value === undefined) return lineBytesDefault;
  const bytes = byteSize(value, 1024);
  if (bytes < 1 || bytes > lineBytesMax) throw new Error("max-line-size must be between 1 and 1m");
  return bytes;
}

function attributesOf(given: ReadonlyMap<string, string>, containerId: string): Record<string, string> {
  const attributes: Record<string, string> = Object.create(null);
  for (const [name, value] of given) if (name.startsWith("attr.")) attributes[name.slice("attr.".length)] = value;
  const tag = given.get("tag") ?? "";
  if (tag !== "") attributes.tag = tagOf(tag, containerId);
  if (Buffer.byteLength(JSON.stringify(attributes)) > attributesBytesMax)
    throw new Error("attributes cannot be more than 16k");
  return attributes;
}

/** Docker's template with the two fields that a shim knows. */
function tagOf(template: string, containerId: string): string {
  const tag = template
    .replaceAll(/\{\{\s*\.ID\s*\}\}/g, containerId.slice(0, 12))
    .replaceAll(/\{\{\s*\.FullID\s*\}\}/g, containerId);
  if (tag.includes("{{")) throw new Error(`logger: tag template not supported: ${template}`);
  return tag;
}
