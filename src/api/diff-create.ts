/**
 * Diff.Diff: what one set of mounts adds to another becomes content of the namespace. Owns the way from the request to the blob (containerd
 * diff/walking/differ.go, v1.6.20): an ingest under the client's ref or a random one, a commit, and the label that tells the diff id.
 */
import { randomUUID } from "node:crypto";
import { Ingest } from "../content/mod.ts";
import { ErrorClass, ShiplogError } from "../error.ts";
import { errorCode } from "../platform/mod.ts";
import { layerCompression, uncompressedLayerMediaType, writeDiff } from "../snapshots/mod.ts";
import { type diff as wire, unixNanoFromTimestamp } from "../wire/mod.ts";
import type { Call } from "./call.ts";
import type { DiffDependencies } from "./diff.ts";
import { holding } from "./holding.ts";
import { storedLabels, validateLabels } from "./labels.ts";
import { abandonIngest } from "./made-content.ts";

const uncompressedLabel = "containerd.io/uncompressed";

export async function createDiff(
  dependencies: DiffDependencies,
  { left, right, mediaType: asked, ref: given, labels, sourceDateEpoch }: wire.DiffRequest,
  call: Call,
): Promise<wire.DiffResponse> {
  const mediaType = asked === "" ? `${uncompressedLayerMediaType}+gzip` : asked;
  const compression = layerCompression(mediaType);
  if (compression === undefined)
    throw new ShiplogError(ErrorClass.Unimplemented, `unsupported diff media type: ${mediaType}`, {
      reason: "MediaTypeUnsupported",
    });
  validateLabels(labels, "info.Labels");
  const epoch = sourceDateEpoch && unixNanoFromTimestamp(sourceDateEpoch);
  const ref = given === "" ? randomUUID() : given;
  const [origin, held, { signal }] = [call.origin(), holding(call), call];
  let ingest: Ingest | undefined;
  const open = async () => {
    ingest = await Ingest.open(dependencies, { origin, holding: held, ref, total: 0, expected: "", signal });
    if (given !== "") await ingest.truncate();
    return ingest;
  };
  try {
    const latest = epoch === undefined ? {} : { latest: Number(epoch / 1_000_000_000n) };
    const diffId = await writeDiff({ left, right, compression, signal, ...latest }, open, dependencies.apply);
    if (ingest === undefined) throw new Error("diff: a layer was written without its sink");
    const { digest, offset: size } = ingest;
    const label = compression === "none" ? {} : { [uncompressedLabel]: diffId };
    call.position = await commit(dependencies, ingest, digest, storedLabels({ ...labels, ...label }), call);
    return { diff: { mediaType, digest, size: BigInt(size), annotations: {} } };
  } catch (error) {
    if (given === "" && ingest !== undefined) await abandonIngest(dependencies, ref, call);
    // The trees are the client's: what the kernel says of them is told, and is no fault of the daemon.
    if (errorCode(error) === undefined || signal.aborted) throw error;
    throw new ShiplogError(ErrorClass.Unknown, `diff: ${(error as Error).message}`, {
      reason: "DiffFailed",
      cause: error,
    });
  } finally {
    await ingest?.close();
  }
}

/** Content that was there already is as good; only the label may be missing from it. Returns the position that the answer stands on. */
async function commit(
  { ledger }: DiffDependencies,
  ingest: Ingest,
  digest: string,
  labels: Record<string, string>,
  call: Call,
): Promise<number> {
  try {
    return (await ingest.commit({ total: 0, expected: digest, labels })).next;
  } catch (error) {
    if (!(error instanceof ShiplogError) || error.class !== ErrorClass.AlreadyExists) throw error;
  }
  const { next } = await ledger.transact(call.origin(), (view) => {
    const row = view.blobs.get(call.namespace(), digest);
    const diffId = labels[uncompressedLabel];
    if (row === undefined || diffId === undefined || row.labels[uncompressedLabel] !== undefined) return [];
    const updated = { ...row.labels, [uncompressedLabel]: diffId };
    return [{ kind: "blob", key: digest, command: { type: "UpdateBlob", digest, labels: updated } }];
  });
  return next;
}
