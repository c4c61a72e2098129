/**
 * containerd.services.namespaces.v1.Namespaces: the names that everything else lives under, and their labels. No call here needs the
 * namespace header: what it changes is recorded in the namespace that it names.
 * Sources: services/namespaces/local.go, metadata/namespaces.go.
 */
import { type ContentDependencies, removeEndedIngest } from "../content/mod.ts";
import { ShiplogError } from "../error.ts";
import type { Origin, Step, View } from "../ledger.ts";
import { quoted } from "../machines/mod.ts";
import type { namespaces as wire } from "../wire/mod.ts";
import type { Call } from "./call.ts";
import { identifier } from "./identifier.ts";
import { storedLabels, validateLabels } from "./labels.ts";
import { maskedLabels } from "./mask.ts";
import type { Service } from "./service.ts";

export function namespacesService(dependencies: ContentDependencies): Service<typeof wire.NamespacesDefinition> {
  const { ledger } = dependencies;
  return {
    /** An unknown namespace is one without labels, never an error. */
    async get({ name }, call) {
      const { next, value: row } = await ledger.read((view) => view.namespaces.get(name, name));
      call.position = next;
      return { namespace: { name, labels: { ...row?.labels } } };
    },

    async list(_request, call) {
      const { next, value: rows } = await ledger.read((view) => [...view.namespaces.all()]);
      call.position = next;
      rows.sort((left, right) => (left.key < right.key ? -1 : 1));
      return { namespaces: rows.map(({ key, row }) => ({ name: key, labels: { ...row.labels } })) };
    },

    async create({ namespace }, call) {
      const name = identifier(namespace?.name ?? "");
      const requested = namespace?.labels ?? {};
      validateLabels(requested, "namespace.Labels");
      const labels = storedLabels(requested);
      const outcome = await ledger.transact(originIn(name, call), () => [
        { kind: "namespace", key: name, command: { type: "CreateNamespace", name, labels } },
      ]);
      call.position = outcome.next;
      return { namespace: { name, labels: { ...requested } } };
    },

    async update({ namespace, updateMask }, call) {
      const name = identifier(namespace?.name ?? "");
      const requested = namespace?.labels ?? {};
      const paths = labelPaths(updateMask);
      const outcome = await ledger.transact(originIn(name, call), (view) => {
        const labels = maskedLabels(paths, "labels", view.namespaces.get(name, name)?.labels ?? {}, requested)!;
        validateLabels(labels, "namespace.Labels");
        return [{ kind: "namespace", key: name, command: { type: "UpdateNamespace", name, labels, requested } }];
      });
      call.position = outcome.next;
      return { namespace: { name: "", labels: {} } };
    },

    async delete({ name }, call) {
      const outcome = await ledger.transact(originIn(name, call), (view) => [
        ...ending(view, name),
        { kind: "namespace", key: name, command: { type: "DeleteNamespace", name, holds: holds(view, name) } },
      ]);
      call.position = outcome.next;
      const ended = outcome.facts.filter(({ type }) => type === "IngestAborted");
      for (const { stream } of ended) await removeEndedIngest(dependencies, name, stream.slice("ingest/".length));
      return {};
    },
  };
}

function originIn(namespace: string, { principal, request }: Call): Origin {
  return { namespace, principal, request };
}

/** A mask names single labels; without one, all are replaced. @throws ShiplogError InvalidArgument */
function labelPaths(mask: readonly string[] | undefined): readonly string[] {
  if (mask === undefined || mask.length === 0) return ["labels"];
  const other = mask.find((path) => !path.startsWith("labels."));
  if (other === undefined) return mask;
  throw new ShiplogError("InvalidArgument", `cannot update ${quoted(other)} field`, {
    reason: "FieldNotUpdatable",
    whole: true,
  });
}

/** What does not keep a namespace from being deleted, and goes with it. */
function ending(view: View, namespace: string): Step[] {
  return [
    ...view.leases
      .list(namespace)
      .map(({ key }): Step => ({ kind: "lease", key, command: { type: "DeleteLease", id: key } })),
    ...view.ingests.list(namespace).map(
      ({ key }): Step => ({
        kind: "ingest",
        key,
        command: { type: "AbortIngest", ref: key, reason: "its namespace was deleted" },
      }),
    ),
  ];
}

/** What keeps a namespace from being deleted, in containerd's words. */
function holds(view: View, namespace: string): string[] {
  const kinds: string[] = [];
  if (view.images.list(namespace).length > 0) kinds.push("images");
  if (view.blobs.list(namespace).length > 0) kinds.push("blobs");
  if (view.containers.list(namespace).length > 0) kinds.push("containers");
  const snapshotters = new Set(view.snapshots.list(namespace).map(({ key }) => key.slice(0, key.indexOf("/"))));
  for (const snapshotter of snapshotters) kinds.push(`snapshots on ${quoted(snapshotter)} snapshotter`);
  if (view.entries.list(namespace).length > 0) kinds.push("entries");
  return kinds;
}
