/** The public face of snapshots: directories that become root file systems, and the layers that fill them. */
export { type ApplyOptions, type ApplyRequest, applyLayer } from "./apply.ts";
export { layerCompression } from "./compress.ts";
export { type LayerSink, readOnly, type WriteDiffRequest, writeDiff } from "./diff.ts";
export type { AppliedLayer } from "./layer-apply.ts";
export { LayerInvalid, LayerWriteFailed, MediaTypeUnsupported } from "./layer-errors.ts";
export { uncompressedLayerMediaType } from "./media-type.ts";
export { openNative } from "./native.ts";
export { openOverlayfs } from "./overlayfs.ts";
export { Proxied, type RemoteInfo, type RemoteSnapshots } from "./proxied.ts";
export { SnapshotWorkers } from "./snapshot-workers.ts";
export type { CreateResult, LocalSnapshotter, SnapshotKind, Snapshotter, SnapshotterOptions } from "./snapshotter.ts";
export type { Cloned } from "./tree-clone.ts";
export { type ListedChange, listChanges } from "./changes.ts";
export type { Usage } from "./tree.ts";
