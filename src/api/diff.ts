/**
 * containerd.services.diff.v1.Diff: layers onto mounts, and mounts into layers. Owns the edge's side only: which blob the namespace may read, and the classes of what
 * goes wrong (services/diff/local.go and diff/apply, v1.6.20).
 */
import type { ContentStore } from "../content/mod.ts";
import { createDiff } from "./diff-create.ts";
import { ErrorClass, ShiplogError } from "../error.ts";
import type { Ledger } from "../ledger.ts";
import { errorCode, type OperationHook, syncFilesystem } from "../platform/mod.ts";
import {
  type ApplyOptions,
  applyLayer,
  LayerInvalid,
  LayerWriteFailed,
  MediaTypeUnsupported,
} from "../snapshots/mod.ts";
import type { Mount, diff as wire } from "../wire/mod.ts";
import type { Service } from "./service.ts";

export interface DiffDependencies {
  readonly ledger: Ledger;
  readonly store: ContentStore;
  readonly apply: ApplyOptions;
  readonly onLeftover: (error: Error) => void;
  readonly hook?: OperationHook;
}

export function diffService(dependencies: DiffDependencies): Required<Service<typeof wire.DiffDefinition>> {
  const { ledger, store, apply, hook } = dependencies;
  return {
    diff: (request, call) => createDiff(dependencies, request, call),

    async apply({ diff, mounts, syncFs }, call) {
      const { digest, mediaType } = diff ?? { digest: "", mediaType: "" };
      const namespace = call.namespace();
      const { next, value: linked } = await ledger.read((view) => view.blobs.get(namespace, digest) !== undefined);
      call.position = next;
      if (!linked) throw blobAbsent(digest);
      try {
        const source = store.blobPath(digest);
        const applied = await applyLayer({ source, mediaType, mounts, signal: call.signal }, apply);
        if (syncFs) for (const directory of writtenDirectories(mounts)) await syncFilesystem(directory, hook);
        return { applied: { ...applied, size: BigInt(applied.size), annotations: {} } };
      } catch (error) {
        // Deleted before its file was opened.
        if (errorCode(error) === "ENOENT" && ledger.view.blobs.get(namespace, digest) === undefined)
          throw blobAbsent(digest, error);
        throw classified(error, { digest, mediaType });
      }
    },
  };
}

/** Where the layer may have gone without a mount of its own; a file system that was mounted for it has been synced by its unmounting. */
function writtenDirectories(mounts: readonly Mount[]): string[] {
  return mounts.flatMap(({ source, options }) => {
    const upper = options.find((option) => option.startsWith("upperdir="));
    if (upper !== undefined) return [upper.slice("upperdir=".length)];
    return options.includes("bind") || options.includes("rbind") ? [source] : [];
  });
}

/** A layer's faults are the client's to hear of, and none of the daemon's. containerd has no class for them. */
function classified(
  error: unknown,
  { digest, mediaType }: { readonly digest: string; readonly mediaType: string },
): unknown {
  if (error instanceof MediaTypeUnsupported) {
    const message = `failed to get stream processor for ${mediaType}: no processor for media-type`;
    return new ShiplogError(ErrorClass.Unknown, message, { reason: error.name, cause: error });
  }
  if (error instanceof LayerInvalid || error instanceof LayerWriteFailed) {
    return new ShiplogError(ErrorClass.Unknown, `apply layer ${digest}: ${error.message}`, {
      reason: error.name,
      cause: error,
    });
  }
  return error;
}

const blobAbsent = (digest: string, cause?: unknown) =>
  new ShiplogError(ErrorClass.NotFound, `failed to get reader from content store: content digest ${digest}`, {
    reason: "BlobAbsent",
    ...(cause === undefined ? {} : { cause }),
  });
