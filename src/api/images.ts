/**
 * containerd.services.images.v1.Images: names for content. Owns what an image must hold and how a field mask changes it. A name is any
 * text; nobody asks whether its target exists. Sources: services/images/local.go, metadata/images.go (v1.6.20; leases and the target of
 * a delete are the 2.x line's).
 */
import { readDigest } from "../content/mod.ts";
import { ShiplogError } from "../error.ts";
import type { Descriptor } from "../events/catalogue.ts";
import type { Ledger, View } from "../ledger.ts";
import { type ImageCommand, type ImageState, type LeaseResource, quoted } from "../machines/mod.ts";
import { type images as wire, timestampFromUnixNano } from "../wire/mod.ts";
import { type Adaptor, labelField, parseFilter } from "./filter/mod.ts";
import { holding } from "./holding.ts";
import { storedLabels, validateLabels } from "./labels.ts";
import { leaseSteps } from "./lease-header.ts";
import { maskedLabels, maskPaths } from "./mask.ts";
import type { Service } from "./service.ts";

/** An image with this label may be collected once its time has passed; only such an image is ever held by a lease. */
const EXPIRE_LABEL = "containerd.io/gc.expire";

const updatable = { fields: ["labels", "target"], maps: ["labels", "annotations"] };
/** A mask may also name the annotations of the target on their own; an update without a mask replaces them with the target. */
const maskable = { ...updatable, fields: [...updatable.fields, "annotations"] };

type Described = Pick<ImageState, "target" | "labels">;
type Changes = Omit<Extract<ImageCommand, { type: "UpdateImage" }>, "type" | "name">;

export interface ImagesDependencies {
  readonly ledger: Ledger;
  /** Collects what nothing reaches, with a look that is taken after the call. */
  readonly collect: () => Promise<unknown>;
}

export function imagesService({ ledger, collect }: ImagesDependencies): Service<typeof wire.ImagesDefinition> {
  return {
    async get({ name }, call) {
      const namespace = call.namespace();
      const { next, value: row } = await ledger.read((view) => view.images.get(namespace, name));
      if (row === undefined) throw notFound(name);
      call.position = next;
      return { image: message(name, row) };
    },

    async list({ filters }, call) {
      const namespace = call.namespace();
      const wanted = parseFilter(filters, "twice");
      const { next, value } = await ledger.read((view) => view.images.list(namespace));
      call.position = next;
      return {
        images: value.filter(({ key, row }) => wanted(adaptor(key, row))).map(({ key, row }) => message(key, row)),
      };
    },

    async create({ image }, call) {
      const origin = call.origin();
      const name = nameOf(image);
      validateLabels(image?.labels ?? {}, "image.Labels");
      const described = describe(image);
      validate(described);
      const outcome = await ledger.transact(origin, (view) => [
        { kind: "image", key: name, command: { type: "CreateImage", name, ...described } },
        ...(Object.hasOwn(described.labels, EXPIRE_LABEL)
          ? leaseSteps(view, origin.namespace, call.lease, leased(name))
          : []),
      ]);
      call.position = outcome.next;
      const { time } = outcome.facts[0]!;
      return { image: message(name, { ...described, createdAt: time, updatedAt: time }) };
    },

    async update({ image, updateMask }, call) {
      const origin = call.origin();
      const name = nameOf(image);
      const requested = describe(image);
      let updated: ImageState | undefined;
      const outcome = await ledger.transact(origin, (view) => {
        const { row, changes } = planUpdate(view, origin.namespace, name, requested, updateMask);
        updated = { ...row, ...changes };
        return [
          { kind: "image", key: name, command: { type: "UpdateImage", name, ...changes } },
          ...(Object.hasOwn(updated.labels, EXPIRE_LABEL)
            ? leaseSteps(view, origin.namespace, call.lease, leased(name))
            : []),
        ];
      });
      call.position = outcome.next;
      const changed = outcome.facts.find(({ type }) => type === "ImageUpdated");
      return { image: message(name, { ...updated!, updatedAt: changed?.time ?? updated!.updatedAt }) };
    },

    async delete({ name, sync, target }, call) {
      const origin = call.origin();
      const { release } = holding(call);
      const outcome = await ledger.transact(origin, (view) => {
        const row = view.images.get(origin.namespace, name);
        if (row !== undefined && target !== undefined && target.digest !== "" && row.target.digest !== target.digest) {
          throw new ShiplogError(
            "NotFound",
            `image ${quoted(name)} has target ${row.target.digest}, not ${target.digest}: not found`,
            { reason: "ImageTargetDiffers" },
          );
        }
        return [{ kind: "image", key: name, command: { type: "DeleteImage", name } }, ...release(view, leased(name))];
      });
      call.position = outcome.next;
      if (sync) await collect();
      return {};
    },
  };
}

const leased = (name: string): LeaseResource => ({ type: "images", id: name });

function nameOf(image: wire.Image | undefined): string {
  if (image === undefined || image.name === "") {
    throw new ShiplogError("InvalidArgument", "Image.Name required", { reason: "ImageWithoutName", whole: true });
  }
  return image.name;
}

function describe(image: wire.Image | undefined): Described {
  const { mediaType = "", digest = "", size = 0n, annotations = {} } = image?.target ?? {};
  return {
    labels: storedLabels(image?.labels ?? {}),
    target: { mediaType, digest, size: Number(size), annotations: storedLabels(annotations) },
  };
}

/** @throws ShiplogError InvalidArgument in containerd's words */
function validate({ labels, target }: Described): void {
  validateLabels(labels, "image.Labels");
  const digest = readDigest(target.digest);
  if (typeof digest === "string") throw invalid(`Target.Digest ${quoted(target.digest)} invalid: ${digest}`);
  if (target.size <= 0) throw invalid("Target.Size must be greater than zero");
  if (!Number.isSafeInteger(target.size)) throw invalid("Target.Size is larger than any content");
  if (target.mediaType === "") throw invalid("Target.MediaType must be set");
}

/** What an update changes, by the row as it is now. @throws ShiplogError NotFound or InvalidArgument */
function planUpdate(
  view: View,
  namespace: string,
  name: string,
  requested: Described,
  mask: readonly string[] | undefined,
) {
  const row = view.images.get(namespace, name);
  if (row === undefined) throw notFound(name);
  const masked = mask !== undefined && mask.length > 0;
  const paths = maskPaths(mask, masked ? maskable : updatable, `image ${quoted(name)}`);
  const labels = maskedLabels(paths, "labels", row.labels, requested.labels);
  const target = maskedTarget(paths, row.target, requested.target);
  const changes: Changes = { ...(labels !== undefined && { labels }), ...(target !== undefined && { target }) };
  validate({ ...row, ...changes });
  return { row, changes };
}

/** The target is replaced as a whole, or its annotations are; paths take effect in their order. */
function maskedTarget(paths: readonly string[], current: Descriptor, requested: Descriptor): Descriptor | undefined {
  let target: Descriptor | undefined;
  for (const path of paths) {
    if (path === "target") target = requested;
    const from = target ?? current;
    const annotations = maskedLabels([path], "annotations", from.annotations, requested.annotations);
    if (annotations !== undefined) target = { ...from, annotations };
  }
  return target;
}

function message(name: string, { labels, target, createdAt, updatedAt }: Omit<ImageState, "status">): wire.Image {
  return {
    name,
    labels: { ...labels },
    target: {
      mediaType: target.mediaType,
      digest: target.digest,
      size: BigInt(target.size),
      annotations: { ...target.annotations },
    },
    createdAt: timestampFromUnixNano(createdAt),
    updatedAt: timestampFromUnixNano(updatedAt),
  };
}

function adaptor(name: string, { labels, target }: ImageState): Adaptor {
  return ([field, ...rest]) => {
    switch (field) {
      case "name":
        return name || undefined;
      case "target":
        return rest[0] === "digest" ? target.digest : rest[0] === "mediatype" ? target.mediaType : undefined;
      case "labels":
        return labelField(labels, rest);
      case "annotations":
        return labelField(target.annotations, rest);
      default:
        return undefined;
    }
  };
}

function invalid(text: string): ShiplogError {
  return new ShiplogError("InvalidArgument", text, { reason: "InvalidImage" });
}

function notFound(name: string): ShiplogError {
  return new ShiplogError("NotFound", `image ${quoted(name)}`, { reason: "ImageNotFound" });
}
