/**
 * One layer onto one directory, from the blob's bytes to the last time stamp, in the thread that calls. Owns the pipeline; which thread, and
 * what is mounted where, is its callers'.
 */
import { createHash } from "node:crypto";
import { decompressed } from "./decompress.ts";
import { LayerWriter, type LayerTarget } from "./layer-writer.ts";
import { layerEncoding, uncompressedLayerMediaType } from "./media-type.ts";
import { TarReader } from "./tar-reader.ts";

/** What an apply answers with: the descriptor of the uncompressed tar, its digest being the layer's diff id. */
export interface AppliedLayer {
  readonly mediaType: string;
  /** Bytes of the uncompressed archive with all that follows its end mark. */
  readonly size: number;
  /** `sha256:` and 64 hex digits. */
  readonly digest: string;
}

/**
 * Applies a layer. Whatever happens, no descriptor stays open; on failure the directory holds part of the layer, for its owner to remove.
 * `proceed` is called between pieces of at most a megabyte or the source's own, and stops the work by throwing.
 * @throws MediaTypeUnsupported, LayerInvalid, LayerWriteFailed, and what the source or `proceed` throws
 */
export async function applyLayerHere(
  source: AsyncIterable<Buffer>,
  mediaType: string,
  target: LayerTarget,
  proceed: () => void,
): Promise<AppliedLayer> {
  const encoding = layerEncoding(mediaType);
  const hash = createHash("sha256");
  const writer = new LayerWriter(target);
  let size = 0;
  try {
    const reader = new TarReader(writer);
    for await (const chunk of decompressed(source, encoding)) {
      proceed();
      hash.update(chunk);
      size += chunk.length;
      reader.push(chunk);
    }
    reader.end();
    writer.finish();
  } finally {
    writer.close();
  }
  return { mediaType: uncompressedLayerMediaType, size, digest: `sha256:${hash.digest("hex")}` };
}
