/**
 * Writes what the right mounts add to the left ones as a layer. Owns the choice between comparing two mounted trees and reading only the
 * upper directory of an overlay on the left one; the work itself is done by a worker thread. After containerd's diff/walking (v1.6.20).
 */
import { Mounters } from "../mounts/mod.ts";
import type { MountDescription } from "../platform/mod.ts";
import type { ApplyOptions } from "./apply.ts";
import type { LayerCompression } from "./compress.ts";
import type { DiffJob } from "./jobs.ts";

/** Where the layer's bytes go. */
export interface LayerSink {
  append(bytes: Uint8Array): Promise<void>;
  /** Forgets all that was appended. */
  truncate(): Promise<void>;
}

export interface WriteDiffRequest {
  /** None for a layer that holds all of the right tree. */
  readonly left: readonly MountDescription[];
  readonly right: readonly MountDescription[];
  readonly compression: LayerCompression;
  /** Later times are set back to this one, seconds since 1970. */
  readonly latest?: number;
  readonly signal?: AbortSignal;
}

/**
 * Writes the layer and answers with its diff id, the digest of the uncompressed tar. Nothing of the trees is changed. The sink is opened once,
 * when the trees can be read: what is there already is not given up for mounts that are wrong.
 * @throws KernelError of mounting and reading, what the sink throws, the signal's reason
 */
export async function writeDiff(
  { left, right, compression, latest = Number.POSITIVE_INFINITY, signal }: WriteDiffRequest,
  openSink: () => Promise<LayerSink>,
  { workers, temporary, mounters = new Mounters() }: ApplyOptions,
): Promise<string> {
  const run = (sink: LayerSink, form: DiffJob["form"], leftRoot: string, rightRoot: string) =>
    workers.run(
      "diff",
      { left: leftRoot, right: rightRoot, form, compression, latest },
      { sink: (bytes) => sink.append(bytes), ...(signal === undefined ? {} : { signal }) },
    );
  return mounters.during(readOnly(left), temporary, async (leftRoot) => {
    const upper = upperOf(left, right);
    let sink: LayerSink | undefined;
    if (upper !== undefined) {
      sink = await openSink();
      try {
        return await run(sink, "upper", leftRoot, upper);
      } catch (thrown) {
        // Only overlayfs can read this upper directory, so it is asked to show the whole.
        if (!(thrown instanceof Error) || thrown.name !== "UpperUnreadable") throw thrown;
        await sink.truncate();
      }
    }
    return mounters.during(readOnly(right), temporary, async (rightRoot) =>
      run(sink ?? (await openSink()), "trees", leftRoot, rightRoot),
    );
  });
}

/** The directory that holds all that the right mounts add to the left ones, if the right are an overlay whose lower layers are the left. */
export function upperOf(left: readonly MountDescription[], right: readonly MountDescription[]): string | undefined {
  if (right.length !== 1 || right[0]!.type !== "overlay") return undefined;
  const [upper, ...lowers] = layersOf(right) ?? [];
  const below = layersOf(left);
  if (upper === undefined || below === undefined || lowers.length === 0 || lowers.length !== below.length)
    return undefined;
  return lowers.every((layer, index) => layer === below[index]) ? upper : undefined;
}

/** Options of an overlay under which its directories mean what they hold. */
const plainOption = /^(?:index=off|workdir=.*|upperdir=.*|lowerdir=.*|volatile|ro|rw)$/;

/** The directories that mounts show, topmost first; undefined where it cannot be told. */
function layersOf(mounts: readonly MountDescription[]): readonly string[] | undefined {
  const [mount, ...others] = mounts;
  if (mount === undefined || others.length > 0 || mount.target) return undefined;
  if (mount.options.includes("bind") || mount.options.includes("rbind")) return [mount.source];
  if (mount.type !== "overlay" || !mount.options.every((option) => plainOption.test(option))) return undefined;
  const upper = option(mount, "upperdir=");
  const lowers = option(mount, "lowerdir=")?.split(":") ?? [];
  return upper === undefined ? lowers : [upper, ...lowers];
}

/** The same mounts for one who only reads: an overlay's upper directory becomes its topmost lower one. */
export function readOnly(mounts: readonly MountDescription[]): MountDescription[] {
  return mounts.map((mount) => {
    if (mount.type !== "overlay")
      return { ...mount, options: [...mount.options.filter((text) => text !== "rw" && text !== "ro"), "ro"] };
    const upper = option(mount, "upperdir=");
    if (upper === undefined) return mount;
    const kept = mount.options.filter((text) => !/^(?:upperdir|workdir|lowerdir)=|^volatile$/.test(text));
    const lower = option(mount, "lowerdir=");
    return { ...mount, options: [...kept, `lowerdir=${lower === undefined ? upper : `${upper}:${lower}`}`] };
  });
}

function option(mount: MountDescription, prefix: string): string | undefined {
  return mount.options.findLast((text) => text.startsWith(prefix))?.slice(prefix.length);
}
