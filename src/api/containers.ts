/**
 * containerd.services.containers.v1.Containers: the records of containers, which are no processes. Owns what a record must hold and how
 * a field mask changes it. Image, snapshot and sandbox are named only: nobody asks whether they exist.
 * Sources: services/containers/local.go, metadata/containers.go.
 */
import { ShiplogError } from "../error.ts";
import type { AnyValue } from "../events/catalogue.ts";
import type { Ledger, View } from "../ledger.ts";
import { type ContainerCommand, type ContainerState, quoted } from "../machines/mod.ts";
import { type Any, type containers as wire, timestampFromUnixNano } from "../wire/mod.ts";
import { anyValue, wireAny } from "./any.ts";
import { type Adaptor, labelField, parseFilter } from "./filter/mod.ts";
import { identifier } from "./identifier.ts";
import { storedLabels, validateLabels } from "./labels.ts";
import { maskedLabels, maskedMap, maskPaths } from "./mask.ts";
import type { Service } from "./service.ts";

/** `snapshotkey` is the API's spelling. */
const updatable = { fields: ["labels", "spec", "extensions", "image", "snapshotkey"], maps: ["labels", "extensions"] };

/** What becomes of an extension that a mask names and the request lacks: containerd writes an empty one, for it removes none. */
const noExtension: AnyValue = { typeUrl: "", value: new Uint8Array() };

/** A container without what the ledger adds. */
type Described = Omit<ContainerState, "status" | "createdAt" | "updatedAt">;
type Changes = Omit<Extract<ContainerCommand, { type: "UpdateContainer" }>, "type" | "id">;

export function containersService({ ledger }: { readonly ledger: Ledger }): Service<typeof wire.ContainersDefinition> {
  async function list(namespace: string, filters: readonly string[]) {
    const wanted = parseFilter(filters, "twice");
    const { next, value } = await ledger.read((view) => view.containers.list(namespace));
    return { next, rows: value.filter(({ key, row }) => wanted(adaptor(key, row))) };
  }

  return {
    async get({ id }, call) {
      const namespace = call.namespace();
      const { next, value: row } = await ledger.read((view) => view.containers.get(namespace, id));
      if (row === undefined) throw notFound(`${quoted(id)} in namespace ${quoted(namespace)}`);
      call.position = next;
      return { container: message(id, row) };
    },

    async list({ filters }, call) {
      const { next, rows } = await list(call.namespace(), filters);
      call.position = next;
      return { containers: rows.map(({ key, row }) => message(key, row)) };
    },

    async *listStream({ filters }, call) {
      const { next, rows } = await list(call.namespace(), filters);
      call.position = next;
      for (const { key, row } of rows) yield { container: message(key, row) };
    },

    async create({ container }, call) {
      const origin = call.origin();
      const id = container?.id ?? "";
      const described = describe(container);
      validate(id, { ...described, labels: container?.labels ?? {} }, "create container failed validation");
      const spec = described.spec!;
      const outcome = await ledger.transact(origin, () => [
        { kind: "container", key: id, command: { type: "CreateContainer", id, ...described, spec } },
      ]);
      call.position = outcome.next;
      const { time } = outcome.facts[0]!;
      return { container: message(id, { ...described, createdAt: time, updatedAt: time }) };
    },

    async update({ container, updateMask }, call) {
      const origin = call.origin();
      const id = container?.id ?? "";
      if (container === undefined || id === "") {
        throw new ShiplogError("InvalidArgument", "Container.ID required", {
          reason: "ContainerWithoutId",
          whole: true,
        });
      }
      let updated: ContainerState | undefined;
      const outcome = await ledger.transact(origin, (view) => {
        const { row, changes, replied } = planUpdate(view, origin.namespace, container, updateMask);
        // The reply has the extensions that were asked for; those that stay are seen when it is got again.
        updated = { ...row, ...changes, ...(replied !== undefined && { extensions: replied }) };
        return [{ kind: "container", key: id, command: { type: "UpdateContainer", id, ...changes } }];
      });
      call.position = outcome.next;
      return { container: message(id, { ...updated!, updatedAt: outcome.facts[0]?.time ?? updated!.updatedAt }) };
    },

    async delete({ id }, call) {
      const origin = call.origin();
      const outcome = await ledger.transact(origin, () => [
        { kind: "container", key: id, command: { type: "DeleteContainer", id } },
      ]);
      call.position = outcome.next;
      return {};
    },
  };
}

function describe(container: wire.Container | undefined): Described {
  const {
    labels = {},
    image = "",
    runtime,
    spec,
    snapshotter = "",
    snapshotKey = "",
    extensions = {},
    sandbox = "",
  } = container ?? {};
  return {
    labels: storedLabels(labels),
    image,
    runtime: { name: runtime?.name ?? "", options: runtime?.options === undefined ? null : anyValue(runtime.options) },
    spec: spec === undefined ? null : anyValue(spec),
    snapshotter,
    snapshotKey,
    extensions: mapped(extensions, anyValue),
    sandbox,
  };
}

/** @throws ShiplogError InvalidArgument in containerd's words */
function validate(
  id: string,
  { extensions, labels, runtime, spec, snapshotKey, snapshotter }: Described,
  doing: string,
): void {
  identifier(id, `${doing}: container.ID`);
  if (Object.hasOwn(extensions, "")) throw invalid(`${doing}: container.Extension keys must not be zero-length`);
  validateLabels(labels, `${doing}: containers.Labels`);
  if (runtime.name === "") throw invalid(`${doing}: container.Runtime.Name must be set`);
  if (spec === null) throw invalid(`${doing}: container.Spec must be set`);
  if (snapshotKey !== "" && snapshotter === "") {
    throw invalid(`${doing}: container.Snapshotter must be set if container.SnapshotKey is set`);
  }
}

/** What an update changes, by the row as it is now. @throws ShiplogError NotFound or InvalidArgument */
function planUpdate(view: View, namespace: string, container: wire.Container, mask: readonly string[] | undefined) {
  const { id } = container;
  const row = view.containers.get(namespace, id);
  if (row === undefined) throw notFound(quoted(id));
  const requested = describe(container);
  if (mask === undefined || mask.length === 0) {
    if (requested.snapshotter !== row.snapshotter) throw invalid("container.Snapshotter field is immutable");
    if (requested.runtime.name !== row.runtime.name) throw invalid("container.Runtime.Name field is immutable");
  }
  const paths = maskPaths(mask, updatable, quoted(id));
  const labels = maskedLabels(paths, "labels", row.labels, requested.labels);
  const extensions = maskedMap(paths, "extensions", row.extensions, requested.extensions, noExtension);
  const spec = paths.includes("spec") ? requested.spec : row.spec;
  const changes: Changes = {
    ...(labels !== undefined && { labels }),
    // containerd only ever adds extensions: one that is left out stays.
    ...(extensions !== undefined && { extensions: { ...row.extensions, ...extensions } }),
    ...(spec !== null && paths.includes("spec") && { spec }),
    ...(paths.includes("image") && { image: requested.image }),
    ...(paths.includes("snapshotkey") && { snapshotKey: requested.snapshotKey }),
  };
  validate(id, { ...row, ...changes, spec }, "update failed validation");
  return { row, changes, replied: extensions };
}

function message(id: string, row: Omit<ContainerState, "status">): wire.Container {
  return {
    id,
    labels: { ...row.labels },
    image: row.image,
    runtime: {
      name: row.runtime.name,
      options: row.runtime.options === null ? undefined : wireAny(row.runtime.options),
    },
    spec: row.spec === null ? undefined : wireAny(row.spec),
    snapshotter: row.snapshotter,
    snapshotKey: row.snapshotKey,
    createdAt: timestampFromUnixNano(row.createdAt),
    updatedAt: timestampFromUnixNano(row.updatedAt),
    extensions: mapped(row.extensions, wireAny),
    sandbox: row.sandbox,
  };
}

function adaptor(id: string, { image, labels, runtime }: ContainerState): Adaptor {
  return ([field, ...rest]) => {
    switch (field) {
      case "id":
        return id || undefined;
      case "image":
        return image || undefined;
      case "runtime":
        return rest[0] === "name" ? runtime.name || undefined : undefined;
      case "labels":
        return labelField(labels, rest);
      default:
        return undefined;
    }
  };
}

function mapped<From extends Any | AnyValue, To>(
  entries: Readonly<Record<string, From>>,
  change: (value: From) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(entries).map(([key, value]) => [key, change(value)]));
}

function invalid(text: string): ShiplogError {
  return new ShiplogError("InvalidArgument", text, { reason: "InvalidContainer" });
}

function notFound(which: string): ShiplogError {
  return new ShiplogError("NotFound", `container ${which}`, { reason: "ContainerNotFound" });
}
