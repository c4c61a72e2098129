/**
 * Checkpoints as content: the archive of a task's images with the container's spec beside it, and the way back. Owns the media types and
 * what is in each blob (services/tasks/local.go, Create and Checkpoint, v1.6.20).
 */
import type { ContentDependencies } from "../content/mod.ts";
import { ErrorClass, ShiplogError } from "../error.ts";
import type { AnyValue, Descriptor } from "../events/catalogue.ts";
import { type ApplyOptions, applyLayer, uncompressedLayerMediaType, writeDiff } from "../snapshots/mod.ts";
import { Any, type Descriptor as WireDescriptor } from "../wire/mod.ts";
import { wireAny } from "./any.ts";
import type { Call } from "./call.ts";
import { makeContent } from "./made-content.ts";

export interface CheckpointDependencies extends ContentDependencies {
  readonly apply: ApplyOptions;
}

export const imagesMediaType = "application/vnd.containerd.container.criu.checkpoint.criu.tar";
export const specMediaType = "application/vnd.containerd.container.checkpoint.config.v1+proto";

/** Makes content of the images in a directory, and of the spec. */
export async function storeCheckpoint(
  dependencies: CheckpointDependencies,
  directory: string,
  spec: AnyValue,
  call: Call,
): Promise<readonly Descriptor[]> {
  const right = [{ type: "bind", source: directory, options: ["rbind", "ro"] }];
  const images = await makeContent(dependencies, call, (ingest) =>
    writeDiff({ left: [], right, compression: "none", signal: call.signal }, async () => ingest, dependencies.apply),
  );
  const bytes = Any.encode(wireAny(spec)).finish();
  const config = await makeContent(dependencies, call, (ingest) => ingest.append(bytes));
  return [
    { mediaType: imagesMediaType, ...images, annotations: {} },
    { mediaType: specMediaType, ...config, annotations: {} },
  ];
}

/**
 * What fills a directory with the images of a checkpoint that is content of the namespace.
 * @throws ShiplogError Unknown when it is none, or is not there: containerd gives neither a class
 */
export function checkpointUnpacker(
  { ledger, store, apply }: CheckpointDependencies,
  { mediaType, digest }: WireDescriptor,
  call: Call,
): (directory: string) => Promise<void> {
  if (mediaType !== imagesMediaType)
    throw unknown("CheckpointUnsupported", `unsupported checkpoint type ${JSON.stringify(mediaType)}`);
  if (ledger.view.blobs.get(call.namespace(), digest) === undefined)
    throw unknown("BlobAbsent", `content digest ${digest}: not found`);
  return async (directory) => {
    const mounts = [{ type: "bind", source: directory, target: "", options: ["bind", "rw"] }];
    const source = store.blobPath(digest);
    await applyLayer({ source, mediaType: uncompressedLayerMediaType, mounts, signal: call.signal }, apply);
  };
}

const unknown = (reason: string, message: string) => new ShiplogError(ErrorClass.Unknown, message, { reason });
