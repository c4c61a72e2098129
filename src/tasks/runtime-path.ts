/**
 * From a runtime's name to the shim binary that serves it: the configuration's, our own for the names of runc, and else by containerd's
 * rules and in its wording (containerd: runtime/v2/manager.go resolveRuntimePath, runtime/v2/shim/util.go).
 */
import { accessSync, constants, statSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { ErrorClass, ShiplogError } from "../error.ts";

/** Runtimes that our own shim serves where the configuration does not say otherwise. */
const ownRuntimes: ReadonlySet<string> = new Set(["io.containerd.runc.v2", "io.containerd.shiplog.v1"]);

export interface RuntimePathOptions {
  /** Absolute paths of shims by the runtime's name. */
  readonly configured: ReadonlyMap<string, string>;
  /** The absolute path of our own shim. */
  readonly ownShim: string;
  /** Directories that are searched after the working directory and before the daemon's own. */
  readonly searchPath: readonly string[];
  /** The directory of the daemon's program, searched last: shims are often installed beside it. */
  readonly daemonDir: string;
}

/**
 * The binary of a runtime such as `io.containerd.kata.v2` (its last two parts name it), or the absolute path itself.
 * @throws ShiplogError Unknown, with containerd's texts.
 */
export function resolveRuntimePath(
  runtime: string,
  { configured, ownShim, searchPath, daemonDir }: RuntimePathOptions,
): string {
  if (runtime === "") throw refused("no runtime name");
  const chosen = configured.get(runtime);
  if (chosen !== undefined) {
    if (!exists(chosen)) throw refused(`runtime "${runtime}" is configured as ${chosen}: file does not exist`);
    return chosen;
  }
  if (ownRuntimes.has(runtime)) return ownShim;
  if (isAbsolute(runtime)) {
    if (!exists(runtime)) throw refused(`invalid custom binary path: stat ${runtime}: no such file or directory`);
    return runtime;
  }
  const parts = runtime.split(".");
  if (runtime.includes("/") || parts.length < 3) {
    const form =
      "correct runtime name should be either format like `io.containerd.runc.v1` or a full path to the binary";
    throw refused(`invalid runtime name ${runtime}, ${form}`);
  }
  const binary = `containerd-shim-${parts.at(-2)}-${parts.at(-1)}`;
  const beside = resolve(binary);
  if (exists(beside)) return beside;
  const found = searchPath.map((directory) => join(directory, binary)).find(executable) ?? join(daemonDir, binary);
  if (exists(found)) return resolve(found);
  throw refused(`runtime "${runtime}" binary not installed "${binary}": file does not exist`);
}

/** The directories of a PATH variable; an empty part would mean the working directory, which Go's look-up refuses too. */
export function searchPathOf(path: string | undefined): string[] {
  return (path ?? "").split(":").filter((directory) => directory !== "");
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function executable(path: string): boolean {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return false;
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function refused(text: string): ShiplogError {
  return new ShiplogError(ErrorClass.Unknown, `failed to resolve runtime path: ${text}`, { reason: "RuntimeNotFound" });
}
