/**
 * The command line of a shim, which is containerd's (runtime/v2/shim/shim.go): flags as Go reads them, then an action.
 *
 * Owns its reading only.
 */

export interface CommandLine {
  readonly namespace: string;
  readonly id: string;
  /** The daemon's gRPC socket. */
  readonly address: string;
  /** Undefined but for `delete`: elsewhere the working directory is the bundle. */
  readonly bundle: string | undefined;
  readonly debug: boolean;
  readonly showsVersion: boolean;
  readonly showsInfo: boolean;
  /** The last word, or "" when there are flags alone. */
  readonly action: string;
}

const booleans: ReadonlySet<string> = new Set(["debug", "v", "version", "info"]);
const texts: ReadonlySet<string> = new Set([
  "namespace",
  "id",
  "address",
  "publish-binary",
  "bundle",
  "debug-socket",
  "room",
]);

/** @throws Error for a flag that is none of a shim's, or that lacks its value */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const given = new Map<string, string>();
  let index = 0;
  for (; index < args.length; index++) {
    const match = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(args[index]!);
    if (match === null) break;
    const [, name, value] = match as unknown as [string, string, string | undefined];
    if (booleans.has(name)) given.set(name, value ?? "true");
    else if (!texts.has(name)) throw new Error(`flag provided but not defined: -${name}`);
    else if (value !== undefined) given.set(name, value);
    else if (index + 1 < args.length) given.set(name, args[++index]!);
    else throw new Error(`flag needs an argument: -${name}`);
  }
  const holds = (name: string) => ["1", "t", "T", "true", "TRUE", "True"].includes(given.get(name) ?? "");
  return {
    namespace: given.get("namespace") ?? "",
    id: given.get("id") ?? "",
    address: given.get("address") ?? "",
    bundle: given.get("bundle"),
    debug: holds("debug"),
    showsVersion: holds("v") || holds("version"),
    showsInfo: holds("info"),
    action: index < args.length ? args.at(-1)! : "",
  };
}
