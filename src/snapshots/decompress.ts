/**
 * From a layer's bytes to the tar within. Owns the telling of compressions by their first bytes; knows nothing of tar. What it yields is
 * bounded by `outputBytesMax` at a time, whatever the input.
 */
import { pipeline, Readable, type Transform } from "node:stream";
import { constants, createGunzip, createZstdDecompress } from "node:zlib";
import { LayerInvalid } from "./layer-errors.ts";
import type { LayerEncoding } from "./media-type.ts";

const outputBytesMax = 256 * 1024;
/** 2^27 bytes: the largest window that the zstd command decodes unasked; an archive that wants more is refused, not served. */
const zstdWindowLogMax = 27;
const sniffBytes = 10;

/** The uncompressed bytes of `source`. @throws LayerInvalid when a compressed stream is damaged or ends early; what `source` throws */
export async function* decompressed(source: AsyncIterable<Buffer>, encoding: LayerEncoding): AsyncGenerator<Buffer> {
  if (encoding === "plain") {
    yield* source;
    return;
  }
  const iterator = source[Symbol.asyncIterator]();
  try {
    const start: Buffer[] = [];
    let length = 0;
    while (length < sniffBytes) {
      const next = await iterator.next();
      if (next.done) break;
      start.push(next.value);
      length += next.value.length;
    }
    const whole = rejoined(start, iterator);
    const transform = decoderFor(Buffer.concat(start).subarray(0, sniffBytes));
    if (transform === undefined) yield* whole;
    else yield* decoded(whole, transform);
  } finally {
    await iterator.return?.();
  }
}

async function* rejoined(start: readonly Buffer[], rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield* start;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}

/** The decoder that a stream beginning with these bytes needs: RFC 1952 and RFC 8878 (both frame kinds), as containerd's archive/compression. */
function decoderFor(start: Buffer): Transform | undefined {
  if (start.length >= 3 && start[0] === 0x1f && start[1] === 0x8b && start[2] === 0x08)
    return createGunzip({ chunkSize: outputBytesMax });
  if (start.length < 4) return undefined;
  const magic = start.readUInt32LE(0);
  const skippable = start.length >= 8 && (magic & 0xfffffff0) >>> 0 === 0x184d2a50;
  if (magic !== 0xfd2fb528 && !skippable) return undefined;
  return createZstdDecompress({
    chunkSize: outputBytesMax,
    params: { [constants.ZSTD_d_windowLogMax]: zstdWindowLogMax },
  });
}

async function* decoded(source: AsyncIterable<Buffer>, transform: Transform): AsyncGenerator<Buffer> {
  let offset = 0;
  // The source's own failure must come out as it is; only what the decoder says is about the layer.
  let sourceFailure: { thrown: unknown } | undefined;
  const watched = async function* () {
    try {
      yield* source;
    } catch (thrown) {
      sourceFailure = { thrown };
      throw thrown;
    }
  };
  pipeline(Readable.from(watched(), { objectMode: true, highWaterMark: 1 }), transform, () => {});
  try {
    for await (const chunk of transform) {
      offset += (chunk as Buffer).length;
      yield chunk as Buffer;
    }
  } catch (thrown) {
    if (sourceFailure !== undefined) throw sourceFailure.thrown;
    if (thrown instanceof Error && typeof (thrown as { code?: unknown }).code === "string")
      throw new LayerInvalid(`compressed stream: ${thrown.message}`, offset, { cause: thrown });
    throw thrown;
  }
}
