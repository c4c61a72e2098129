/**
 * containerd.services.leases.v1.Leases: holders that keep content, ingests, images and snapshots from being collected. Labels are not
 * limited here, and a held resource need not exist. Sources: services/leases/service.go, metadata/leases.go.
 */
import { readDigest } from "../content/mod.ts";
import { ShiplogError } from "../error.ts";
import type { Ledger } from "../ledger.ts";
import { type LeaseResource, type LeaseState, quoted } from "../machines/mod.ts";
import type { Clock, Ids } from "../platform/mod.ts";
import { type leases as wire, timestampFromUnixNano } from "../wire/mod.ts";
import { type Adaptor, labelField, parseFilter } from "./filter/mod.ts";
import { storedLabels } from "./labels.ts";
import type { Service } from "./service.ts";

/** The types of resources in the order in which they are listed; snapshots' types carry their snapshotter. */
const types = ["content", "images", "ingests", "snapshots"];

const NANOSECONDS_PER_SECOND = 1_000_000_000n;
/** Hex digits of a made-up id's random part: three bytes. */
const RANDOM_HEX_DIGITS = 6;

export interface LeasesDependencies {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly ids: Pick<Ids, "directory">;
  /** Collects what nothing reaches, with a look that is taken after the call. */
  readonly collect: () => Promise<unknown>;
}

export function leasesService({
  ledger,
  clock,
  ids,
  collect,
}: LeasesDependencies): Service<typeof wire.LeasesDefinition> {
  /** As containerd makes them: the nanoseconds within the second, and four characters. */
  function madeUpId(): string {
    const random = Buffer.from(ids.directory().slice(0, RANDOM_HEX_DIGITS), "hex").toString("base64url");
    return `${clock.now() % NANOSECONDS_PER_SECOND}-${random}`;
  }

  return {
    async create(request, call) {
      const origin = call.origin();
      const id = request.id === "" ? madeUpId() : request.id;
      const labels = storedLabels(request.labels);
      const outcome = await ledger.transact(origin, () => [
        { kind: "lease", key: id, command: { type: "CreateLease", id, labels } },
      ]);
      call.position = outcome.next;
      return { lease: message(id, { labels, createdAt: outcome.facts[0]!.time }) };
    },

    async delete({ id, sync }, call) {
      const origin = call.origin();
      const outcome = await ledger.transact(origin, () => [
        { kind: "lease", key: id, command: { type: "DeleteLease", id } },
      ]);
      call.position = outcome.next;
      if (sync) await collect();
      return {};
    },

    async list({ filters }, call) {
      const namespace = call.namespace();
      const wanted = parseFilter(filters, "twice");
      const { next, value } = await ledger.read((view) => view.leases.list(namespace));
      call.position = next;
      return {
        leases: value.filter(({ key, row }) => wanted(adaptor(key, row))).map(({ key, row }) => message(key, row)),
      };
    },

    async addResource({ id, resource }, call) {
      const origin = call.origin();
      const outcome = await ledger.transact(origin, (view) => {
        if (view.leases.get(origin.namespace, id) === undefined) throw notFound(id);
        return [
          { kind: "lease", key: id, command: { type: "AddLeaseResource", id, resource: validResource(resource) } },
        ];
      });
      call.position = outcome.next;
      return {};
    },

    async deleteResource({ id, resource }, call) {
      const origin = call.origin();
      const outcome = await ledger.transact(origin, (view) => {
        if (view.leases.get(origin.namespace, id) === undefined) throw notFound(id);
        return [
          { kind: "lease", key: id, command: { type: "RemoveLeaseResource", id, resource: validResource(resource) } },
        ];
      });
      call.position = outcome.next;
      return {};
    },

    async listResources({ id }, call) {
      const namespace = call.namespace();
      const { next, value: row } = await ledger.read((view) => view.leases.get(namespace, id));
      if (row === undefined) throw notFound(id);
      call.position = next;
      return { resources: row.resources.map((resource) => ({ ...resource })).sort(byTypeAndId) };
    },
  };
}

/** @throws ShiplogError InvalidArgument or Unimplemented in containerd's words */
function validResource(resource: wire.Resource | undefined): LeaseResource {
  const { type, id } = resource ?? { type: "", id: "" };
  const depth = type.split("/").length;
  const kind = type.split("/", 1)[0]!;
  if (!types.includes(kind)) {
    throw new ShiplogError("Unimplemented", `resource type ${type} not supported yet`, {
      reason: "UnknownResourceType",
    });
  }
  if (kind === "snapshots" && (depth !== 2 || type === "snapshots/"))
    throw invalid(`invalid snapshot resource type ${type}`);
  if (kind !== "snapshots" && depth !== 1) throw invalid(`invalid resource type ${type}`);
  if (kind === "content") {
    const digest = readDigest(id);
    if (typeof digest === "string") throw invalid(`invalid content resource id ${id}: ${digest}`);
  }
  if (id === "") throw invalid(`a resource of type ${type} needs an id`);
  return { type, id };
}

function byTypeAndId(left: LeaseResource, right: LeaseResource): number {
  const rank = (resource: LeaseResource) => types.indexOf(resource.type.split("/", 1)[0]!);
  if (rank(left) !== rank(right)) return rank(left) - rank(right);
  if (left.type !== right.type) return left.type < right.type ? -1 : 1;
  return left.id < right.id ? -1 : 1;
}

function message(id: string, { labels, createdAt }: Pick<LeaseState, "labels" | "createdAt">): wire.Lease {
  return { id, createdAt: timestampFromUnixNano(createdAt), labels: { ...labels } };
}

function adaptor(id: string, { labels }: LeaseState): Adaptor {
  return ([field, ...rest]) => {
    if (field === "id") return id || undefined;
    return field === "labels" ? labelField(labels, rest) : undefined;
  };
}

function invalid(text: string): ShiplogError {
  return new ShiplogError("InvalidArgument", text, { reason: "InvalidLeaseResource" });
}

function notFound(id: string): ShiplogError {
  return new ShiplogError("NotFound", `lease ${quoted(id)}`, { reason: "LeaseNotFound" });
}
