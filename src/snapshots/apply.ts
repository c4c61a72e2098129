/**
 * Applies a layer to what a snapshot's mounts show. Owns the choice between writing into the snapshot's directory as it is and mounting
 * first; the work itself is done by a worker thread. After containerd's diff/apply (v1.6.20).
 */
import { Mounters } from "../mounts/mod.ts";
import type { MountDescription } from "../platform/mod.ts";
import type { AppliedLayer } from "./layer-apply.ts";
import type { LayerTarget } from "./layer-writer.ts";
import { layerEncoding } from "./media-type.ts";
import type { SnapshotWorkers } from "./snapshot-workers.ts";

/** A layer to apply, and where. */
export interface ApplyRequest {
  /** The blob: a path, or its bytes. */
  readonly source: string | AsyncIterable<Uint8Array>;
  readonly mediaType: string;
  /** As a snapshotter gives them for an active snapshot. */
  readonly mounts: readonly MountDescription[];
  readonly signal?: AbortSignal;
}

export interface ApplyOptions {
  readonly workers: SnapshotWorkers;
  /** An existing directory for the mounts that some snapshots need. */
  readonly temporary: string;
  /** The kernel's alone unless others are given. */
  readonly mounters?: Mounters;
}

/**
 * Applies the layer and answers with the uncompressed tar's descriptor, whose digest is the layer's diff id. Nothing is synced: that is
 * `Snapshotter.sync`, once for many layers. On failure part of the layer may have been written.
 * @throws MediaTypeUnsupported, LayerInvalid, LayerWriteFailed, KernelError of mounting, the signal's reason
 */
export async function applyLayer(
  request: ApplyRequest,
  { workers, temporary, mounters = new Mounters() }: ApplyOptions,
): Promise<AppliedLayer> {
  layerEncoding(request.mediaType);
  const run = (target: LayerTarget) =>
    workers.run(
      "apply",
      { blob: typeof request.source === "string" ? request.source : undefined, mediaType: request.mediaType, target },
      {
        ...(typeof request.source === "string" ? {} : { source: request.source }),
        ...(request.signal === undefined ? {} : { signal: request.signal }),
      },
    );
  const direct = directTarget(request.mounts);
  if (direct !== undefined) return run(direct);
  return mounters.during(request.mounts, temporary, (root) => run({ root, lowers: [], whiteouts: "delete" }));
}

/** The directory that can be written without mounting: an overlay's upper directory, or a writable bind's source. */
export function directTarget(mounts: readonly MountDescription[]): LayerTarget | undefined {
  const [mount, ...others] = mounts;
  if (mount === undefined || others.length > 0 || mount.target) return undefined;
  if (mount.type === "overlay") {
    const root = option(mount, "upperdir=");
    if (root === undefined) return undefined;
    return { root, lowers: option(mount, "lowerdir=")?.split(":") ?? [], whiteouts: "mark" };
  }
  const bind = mount.options.includes("bind") || mount.options.includes("rbind");
  if (!bind || mount.options.includes("ro")) return undefined;
  return { root: mount.source, lowers: [], whiteouts: "delete" };
}

function option(mount: MountDescription, prefix: string): string | undefined {
  return mount.options.findLast((text) => text.startsWith(prefix))?.slice(prefix.length);
}
