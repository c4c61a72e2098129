/**
 * From a runtime's name to the shim binary that serves it, by containerd's rules and in its wording
 * (containerd: runtime/v2/manager.go resolveRuntimePath, runtime/v2/shim/util.go).
 */
import { accessSync, constants, statSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { ErrorClass, ShiplogError } from "../error.ts";

export interface RuntimePathOptions {
  /** Directories that are searched after the working directory and before the daemon's own. */
  readonly searchPath: readonly string[];
  /** The directory of the daemon's program, searched last: shims are often installed beside it. */
  readonly daemonDir: string;
}

/**
 * The binary of a runtime such as `io.containerd.runc.v2` (its last two parts name it), or the absolute path itself.
 * @throws ShiplogError Unknown, with containerd's texts.
 */
export function resolveRuntimePath(runtime: string, { searchPath, daemonDir }: RuntimePathOptions): string {
  if (runtime === "") throw refused("no runtime name");
  if (isAbsolute(runtime)) {
    if (!exists(runtime)) throw refused(`invalid custom binary path: stat ${runtime}: no such file or directory`);
    return runtime;
  }
  const parts = runtime.split(".");
  if (runtime.includes("/") || parts.length < 3) {
    const form = "correct runtime name should be either format like `io.containerd.runc.v1` or a full path to the binary";
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
