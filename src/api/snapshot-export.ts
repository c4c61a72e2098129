/**
 * A committed snapshot as an image: its layer on those of the container's image where it stands on that image's snapshot, a single layer that
 * holds everything otherwise. Owns manifest and configuration, and the lease that holds the parts until the image does.
 */
import { createHash, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Ingest } from "../content/mod.ts";
import { ErrorClass, ShiplogError } from "../error.ts";
import type { Descriptor, Labels } from "../events/catalogue.ts";
import type { SnapshotState } from "../machines/mod.ts";
import type { Clock, MountDescription } from "../platform/mod.ts";
import { diff } from "../wire/mod.ts";
import type { Call } from "./call.ts";
import type { DiffDependencies } from "./diff.ts";
import { createDiff } from "./diff-create.ts";
import { holding } from "./holding.ts";
import type { PluginPlatform } from "./plugins.ts";
import { type RecordDependencies, recordOfPicture } from "./snapshot-record.ts";

export interface ExportDependencies extends DiffDependencies, RecordDependencies {
  readonly clock: Clock;
  readonly platform: PluginPlatform;
}

export interface ExportRequest {
  /** `<snapshotter>/<name>`. */
  readonly row: string;
  readonly snapshot: SnapshotState;
  /** Name of the image to be made. */
  readonly image: string;
  /** Of the snapshot, and of its parent alone. */
  readonly mounts: readonly MountDescription[];
  readonly parentMounts: readonly MountDescription[];
}

export interface Exported {
  readonly target: Descriptor;
  readonly layers: number;
  readonly onImage: boolean;
  readonly next: number;
}

const manifestType = "application/vnd.oci.image.manifest.v1+json";
const indexTypes = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
];
const configType = "application/vnd.oci.image.config.v1+json";
const layerType = "application/vnd.oci.image.layer.v1.tar+gzip";

/** How long the parts are held if the daemon ends before the image is there. */
const leaseNs = 3_600_000_000_000n;
/** What anybody takes for a manifest, an index or a configuration. */
const documentBytesMax = 4 * 1024 * 1024;

interface WireDescriptor {
  readonly mediaType?: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly os?: string; readonly architecture?: string };
}

interface ImageConfig {
  readonly config?: unknown;
  readonly rootfs?: { readonly diff_ids?: readonly string[] };
  readonly history?: readonly unknown[];
}

/** The image that a container was made of, as far as its documents are here. */
interface BaseImage {
  readonly layers: readonly WireDescriptor[];
  readonly config: ImageConfig;
}

/** @throws ShiplogError AlreadyExists for an image of that name; what making a layer throws */
export async function exportSnapshot(
  dependencies: ExportDependencies,
  request: ExportRequest,
  call: Call,
): Promise<Exported> {
  const { ledger, clock, platform } = dependencies;
  const { snapshot, image } = request;
  const origin = call.origin();
  const { namespace } = origin;
  refuseImage(ledger.view.images.get(namespace, image) !== undefined, image);
  const lease = `export-${randomUUID()}`;
  const expires = new Date(Number((clock.now() + leaseNs) / 1_000_000n)).toISOString();
  await ledger.transact(origin, () => [
    {
      kind: "lease",
      key: lease,
      command: { type: "CreateLease", id: lease, labels: { "containerd.io/gc.expire": expires } },
    },
  ]);
  const held = underLease(call, lease);
  try {
    const base = await baseImage(dependencies, namespace, request);
    const onImage =
      base !== undefined && snapshot.parent !== "" && chainId(base.config.rootfs?.diff_ids ?? []) === snapshot.parent;
    const left = onImage ? request.parentMounts : [];
    const made = await createDiff(dependencies, diffRequest(left, request.mounts), held);
    const layer = { mediaType: layerType, digest: made.diff!.digest, size: Number(made.diff!.size) };
    const diffId = diffIdOf(ledger.view.blobs.get(namespace, layer.digest)?.labels ?? {}, layer.digest);
    const layers = [...(onImage ? base.layers : []), layer];
    const created = new Date(Number((snapshot.picture?.at ?? snapshot.createdAt) / 1_000_000n)).toISOString();
    const config = await put(dependencies, held, configType, {
      created,
      architecture: platform.architecture,
      os: platform.os,
      config: base?.config.config ?? {},
      rootfs: { type: "layers", diff_ids: [...(onImage ? base.config.rootfs!.diff_ids! : []), diffId] },
      history: [
        ...(onImage ? (base.config.history ?? []) : []),
        { created, created_by: `shiplog: snapshot ${request.row}` },
      ],
    });
    const target = await put(
      dependencies,
      held,
      manifestType,
      { schemaVersion: 2, mediaType: manifestType, config, layers: layers.map(plainDescriptor) },
      references(config, layers),
    );
    const described = { ...target, annotations: {} };
    const { next } = await ledger.transact(origin, () => [
      { kind: "image", key: image, command: { type: "CreateImage", name: image, target: described, labels: {} } },
    ]);
    return { target: described, layers: layers.length, onImage, next };
  } finally {
    await ledger.transact(origin, (view) =>
      view.leases.get(namespace, lease) === undefined
        ? []
        : [{ kind: "lease", key: lease, command: { type: "DeleteLease", id: lease } }],
    );
  }
}

function refuseImage(isTaken: boolean, image: string): void {
  if (image === "")
    throw new ShiplogError(ErrorClass.InvalidArgument, "the image needs a name", { reason: "ImageWithoutName" });
  if (isTaken)
    throw new ShiplogError(ErrorClass.AlreadyExists, `image ${JSON.stringify(image)}`, { reason: "ImageExists" });
}

/** The same call, but what it makes is held by this lease. */
function underLease(call: Call, lease: string): Call {
  return {
    principal: call.principal,
    request: call.request,
    metadata: call.metadata,
    signal: call.signal,
    lease,
    namespace: () => call.namespace(),
    origin: () => call.origin(),
    position: undefined,
  };
}

function diffRequest(left: readonly MountDescription[], right: readonly MountDescription[]): diff.DiffRequest {
  const wire = (mounts: readonly MountDescription[]) =>
    mounts.map(({ type, source, target = "", options }) => ({ type, source, target, options: [...options] }));
  return diff.DiffRequest.fromPartial({ left: wire(left), right: wire(right), mediaType: layerType });
}

function diffIdOf(labels: Labels, digest: string): string {
  const diffId = labels["containerd.io/uncompressed"];
  if (diffId === undefined) throw new Error(`export: the layer ${digest} has no label that tells its diff id`);
  return diffId;
}

/** Undefined where the container, its image, or a document of that is not here. */
async function baseImage(
  dependencies: ExportDependencies,
  namespace: string,
  { row, snapshot }: ExportRequest,
): Promise<BaseImage | undefined> {
  const { ledger, platform } = dependencies;
  const from = await recordOfPicture(dependencies, namespace, row, snapshot);
  const target = from && ledger.view.images.get(namespace, from.record.image)?.target;
  if (target === undefined) return undefined;
  let document = await read(dependencies, namespace, target.digest);
  if (indexTypes.includes(target.mediaType)) {
    const manifests = (document?.manifests ?? []) as readonly WireDescriptor[];
    const own = manifests.find(
      (each) => each.platform?.os === platform.os && each.platform.architecture === platform.architecture,
    );
    document = own && (await read(dependencies, namespace, own.digest));
  }
  const manifest = document as
    | { readonly config?: WireDescriptor; readonly layers?: readonly WireDescriptor[] }
    | undefined;
  if (manifest?.config === undefined || manifest.layers === undefined) return undefined;
  const config = (await read(dependencies, namespace, manifest.config.digest)) as ImageConfig | undefined;
  const { view } = ledger;
  // A layer that is not here any more cannot be part of an image.
  if (config === undefined || !manifest.layers.every(({ digest }) => view.blobs.get(namespace, digest) !== undefined))
    return undefined;
  return { layers: manifest.layers, config };
}

/** A JSON document of the namespace's content; undefined where there is none, or something else. */
async function read(
  { ledger, store }: ExportDependencies,
  namespace: string,
  digest: string,
): Promise<Record<string, unknown> | undefined> {
  const row = ledger.view.blobs.get(namespace, digest);
  if (row === undefined || row.size > documentBytesMax) return undefined;
  try {
    return JSON.parse(await readFile(store.blobPath(digest), "utf8")) as Record<string, unknown>;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** The name that unpacking gives to the snapshot of a stack of layers (OCI image-spec, config.md). */
function chainId(diffIds: readonly string[]): string {
  const hash = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`;
  return diffIds.reduce((chain, diffId) => (chain === "" ? diffId : hash(`${chain} ${diffId}`)), "");
}

function plainDescriptor({ mediaType, digest, size }: WireDescriptor) {
  return { mediaType, digest, size };
}

/** The labels by which a manifest keeps its parts, as containerd's own client writes them. */
function references(config: WireDescriptor, layers: readonly WireDescriptor[]): Labels {
  return Object.fromEntries([
    ["containerd.io/gc.ref.content.config", config.digest],
    ...layers.map(({ digest }, index) => [`containerd.io/gc.ref.content.l.${index}`, digest]),
  ]) as Labels;
}

/** Makes content of a document; one that was there already only gets the labels. */
async function put(
  dependencies: ExportDependencies,
  call: Call,
  mediaType: string,
  document: unknown,
  labels: Labels = {},
): Promise<{ readonly mediaType: string; readonly digest: string; readonly size: number }> {
  const bytes = Buffer.from(JSON.stringify(document));
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  const described = { mediaType, digest, size: bytes.length };
  const [origin, held, { signal }] = [call.origin(), holding(call), call];
  let ingest: Ingest | undefined;
  try {
    ingest = await Ingest.open(dependencies, {
      origin,
      holding: held,
      ref: `export-${digest}`,
      total: bytes.length,
      expected: digest,
      signal,
    });
    await ingest.truncate();
    await ingest.append(bytes);
    await ingest.commit({ total: bytes.length, expected: digest, labels });
  } catch (error) {
    if (!(error instanceof ShiplogError) || error.class !== ErrorClass.AlreadyExists) throw error;
    await dependencies.ledger.transact(origin, (view) => {
      const row = view.blobs.get(origin.namespace, digest);
      if (row === undefined) return [];
      const merged = { ...row.labels, ...labels };
      return [{ kind: "blob", key: digest, command: { type: "UpdateBlob", digest, labels: merged } }];
    });
  } finally {
    await ingest?.close();
  }
  return described;
}
