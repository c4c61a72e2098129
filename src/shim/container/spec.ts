/** What of OCI's specs matters to the one who runs them. Owns reading, not judging: the runtime does that. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

interface PartOfSpec {
  readonly linux?: {
    readonly namespaces?: readonly { readonly type?: unknown; readonly path?: unknown }[] | null;
  } | null;
}

/**
 * Whether the container has a pid namespace of its own, whose end the kernel makes the end of all in it. A spec that cannot be read has none, as for
 * containerd (runtime/v2/runc/util.go ShouldKillAllOnExit): then everything is killed, which harms nobody.
 */
export function hasPrivatePids(bundle: string): boolean {
  try {
    const { linux } = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8")) as PartOfSpec;
    return (linux?.namespaces ?? []).some(({ type, path }) => type === "pid" && (path === undefined || path === ""));
  } catch {
    return false;
  }
}

/** The process as JSON with `terminal` as the request has it, which counts (pkg/process/init.go exec). @throws SyntaxError */
export function processSpec(json: string, terminal: boolean): string {
  return JSON.stringify({ ...(JSON.parse(json) as object), terminal });
}
