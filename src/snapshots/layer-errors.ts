/**
 * The ways in which applying a layer fails for reasons that lie in the layer. Owns the types and how they cross from a worker thread to its
 * owner; the mapping to the API's classes is the edge's.
 */

/** Not a layer that can be applied: truncated, corrupt, or asking for something that no layer may have. */
export class LayerInvalid extends Error {
  override readonly name = "LayerInvalid";
  readonly code = "LAYER_INVALID";
  /** Byte of the uncompressed archive that the fault was found at; for a fault in an entry, of its first header block. */
  readonly offset: number;

  constructor(fault: string, offset: number, options?: ErrorOptions) {
    super(`read layer at byte ${offset}: ${fault}`, options);
    this.offset = offset;
  }
}

/** An entry was well-formed, yet the file system refused it. `code` is the kernel's (`ENOSPC`, `ENAMETOOLONG`, `ENOTDIR`…). */
export class LayerWriteFailed extends Error {
  override readonly name = "LayerWriteFailed";
  readonly code: string;
  readonly offset: number;

  constructor(message: string, code: string, offset: number, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.offset = offset;
  }
}

/** Nothing here knows how to make a tar of this media type. */
export class MediaTypeUnsupported extends Error {
  override readonly name = "MediaTypeUnsupported";
  readonly code = "MEDIA_TYPE_UNSUPPORTED";
  readonly mediaType: string;

  constructor(mediaType: string) {
    super(`apply layer: no way to read media type '${mediaType}'`);
    this.mediaType = mediaType;
  }
}

/** An error as it travels between threads, where classes do not. */
export interface PlainError {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly offset?: number;
  readonly mediaType?: string;
  readonly cause?: string;
}

/** Takes an error apart for the other thread. */
export function flattenError(thrown: unknown): PlainError {
  if (!(thrown instanceof Error)) return { name: "Error", message: String(thrown) };
  const { code, offset, mediaType } = thrown as Partial<Record<"code" | "offset" | "mediaType", unknown>>;
  return {
    name: thrown.name,
    message: thrown.message,
    ...(typeof code === "string" ? { code } : {}),
    ...(typeof offset === "number" ? { offset } : {}),
    ...(typeof mediaType === "string" ? { mediaType } : {}),
    ...(thrown.cause instanceof Error ? { cause: thrown.cause.message } : {}),
  };
}

/** Puts it together again: the same class, message and fields; the cause is left as an error with the cause's message. */
export function restoreError(plain: PlainError): Error {
  const options = plain.cause === undefined ? {} : { cause: new Error(plain.cause) };
  const offset = plain.offset ?? 0;
  switch (plain.name) {
    case "LayerInvalid":
      return Object.assign(new LayerInvalid("", offset, options), { message: plain.message });
    case "LayerWriteFailed":
      return new LayerWriteFailed(plain.message, plain.code ?? "", offset, options);
    case "MediaTypeUnsupported":
      return new MediaTypeUnsupported(plain.mediaType ?? "");
    default:
      return Object.assign(
        new Error(plain.message, options),
        { name: plain.name },
        plain.code === undefined ? {} : { code: plain.code },
      );
  }
}
