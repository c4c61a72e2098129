/**
 * Which media types are layers that can be read here, and whether they may be compressed. After containerd's images/mediatypes.go and
 * diff/stream.go (v1.6.20), except that a suffix nobody knows is refused by name instead of being read as a plain tar.
 */
import { MediaTypeUnsupported } from "./layer-errors.ts";

/** The media type of what a layer is once it is uncompressed; what an apply answers with. */
export const uncompressedLayerMediaType = "application/vnd.oci.image.layer.v1.tar";

const dockerLayers = [
  "application/vnd.docker.image.rootfs.diff.tar",
  "application/vnd.docker.image.rootfs.foreign.diff.tar",
];
const ociLayers = [uncompressedLayerMediaType, "application/vnd.oci.image.layer.nondistributable.v1.tar"];

/** `sniff`: look at the first bytes, as Docker's types and its clients have not always told the truth. `plain`: never compressed. */
export type LayerEncoding = "sniff" | "plain";

/** How to read a layer of this media type. @throws MediaTypeUnsupported */
export function layerEncoding(mediaType: string): LayerEncoding {
  if (dockerLayers.some((base) => mediaType === base || mediaType === `${base}.gzip`)) return "sniff";
  const [base = "", ...suffixes] = mediaType.split("+");
  if (ociLayers.includes(base)) {
    if (suffixes.length === 0) return "plain";
    if (suffixes.length === 1 && (suffixes[0] === "gzip" || suffixes[0] === "zstd")) return "sniff";
  }
  throw new MediaTypeUnsupported(mediaType);
}
