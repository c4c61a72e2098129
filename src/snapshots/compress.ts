/** From a tar to a layer's bytes. Owns which media types a layer can be written as; what is held at a time is bounded, whatever the input. */
import { pipeline, Readable } from "node:stream";
import { createGzip, createZstdCompress } from "node:zlib";
import { uncompressedLayerMediaType } from "./media-type.ts";

const outputBytesMax = 256 * 1024;

export type LayerCompression = "none" | "gzip" | "zstd";

/** How a layer of this media type is written, or undefined for what cannot be. zstd came to containerd after 1.6. */
export function layerCompression(mediaType: string): LayerCompression | undefined {
  switch (mediaType) {
    case uncompressedLayerMediaType:
      return "none";
    case `${uncompressedLayerMediaType}+gzip`:
      return "gzip";
    case `${uncompressedLayerMediaType}+zstd`:
      return "zstd";
    default:
      return undefined;
  }
}

/** The bytes of `source`, compressed. @throws what `source` throws */
export async function* compressed(
  source: Iterable<Buffer>,
  compression: LayerCompression,
): AsyncGenerator<Buffer, void, void> {
  if (compression === "none") {
    yield* source;
    return;
  }
  const options = { chunkSize: outputBytesMax };
  const transform = compression === "gzip" ? createGzip(options) : createZstdCompress(options);
  pipeline(Readable.from(source, { objectMode: true, highWaterMark: 1 }), transform, () => {});
  for await (const piece of transform) yield piece as Buffer;
}
