/**
 * From a committed snapshot back to something that can be written: an active snapshot on it, and with it a container like the one that it was
 * taken of. Owns what of a record carries over to another container.
 */
import { ErrorClass, ShiplogError } from "../error.ts";
import type { AnyValue, Labels } from "../events/catalogue.ts";
import type { ContainerState } from "../machines/mod.ts";
import { changeSpec } from "../volumes/mod.ts";
import type { shiplogSnapshots as wire } from "../wire/mod.ts";
import { identifier } from "./identifier.ts";
import { createSnapshot } from "./snapshot-create.ts";
import { rowKey, type SnapshotDependencies, type SnapshotScope, snapshotAbsent, snapshotRow } from "./snapshot-life.ts";
import { type RecordDependencies, recordOfPicture } from "./snapshot-record.ts";

export type RestoreDependencies = SnapshotDependencies & RecordDependencies;

/** The monitor's labels would start the new container by themselves. */
const notCarriedOver = "containerd.io/restart.";

/** @throws ShiplogError as Prepare; AlreadyExists for a container that is there; NotFound where no record is to be had */
export async function restoreSnapshot(
  dependencies: RestoreDependencies,
  scope: SnapshotScope,
  { name, key: given, container, like }: wire.RestoreRequest,
  labels: Labels,
): Promise<{ readonly key: string; readonly next: number }> {
  const { ledger } = dependencies;
  const { namespace } = scope.origin;
  const key = given === "" ? container : given;
  if (container === "")
    return { key, ...(await createSnapshot(dependencies, { ...scope, kind: "active", key, parent: name, labels })) };
  identifier(container, "container validation");
  const row = snapshotRow(ledger.view, namespace, scope.snapshotter, name);
  if (row === undefined) throw snapshotAbsent(name);
  const from =
    like === ""
      ? await recordOfPicture(dependencies, namespace, rowKey(scope.snapshotter, name), row)
      : recordNow(ledger.view.containers.get(namespace, like), like);
  if (from === undefined)
    throw new ShiplogError(
      ErrorClass.NotFound,
      `snapshot ${name} is no picture of a container's root: say which container the new one is to be like`,
      {
        reason: "RecordAbsent",
      },
    );
  if (ledger.view.containers.get(namespace, container) !== undefined)
    throw new ShiplogError(ErrorClass.AlreadyExists, `container ${JSON.stringify(container)}`, {
      reason: "ContainerExists",
    });
  const record = { ...carriedOver(from, container), snapshotter: scope.snapshotter.name, snapshotKey: key };
  const command = { type: "CreateContainer", id: container, ...record } as const;
  const also = [{ kind: "container", key: container, command }] as const;
  const { next } = await createSnapshot(dependencies, { ...scope, kind: "active", key, parent: name, labels, also });
  return { key, next };
}

function recordNow(record: ContainerState | undefined, id: string) {
  if (record === undefined)
    throw new ShiplogError(ErrorClass.NotFound, `container ${JSON.stringify(id)}`, { reason: "ContainerAbsent" });
  return { id, record };
}

function carriedOver({ id, record }: { readonly id: string; readonly record: ContainerState }, container: string) {
  const { image, runtime, extensions, labels, spec } = record;
  return {
    labels: Object.fromEntries(Object.entries(labels).filter(([label]) => !label.startsWith(notCarriedOver))),
    image,
    runtime,
    spec: respecified(spec ?? { typeUrl: "", value: Buffer.from("{}") }, id, container),
    extensions,
    sandbox: "",
  };
}

/** The same spec, but in a cgroup of its own: two containers in one would be limited, paused and killed together. */
function respecified(spec: AnyValue, from: string, to: string): AnyValue {
  return changeSpec(spec, ({ linux }) => {
    if (typeof linux !== "object" || linux === null) return;
    const own = linux as { cgroupsPath?: unknown };
    const path = own.cgroupsPath;
    if (typeof path === "string" && path.endsWith(from))
      own.cgroupsPath = path.slice(0, path.length - from.length) + to;
  });
}
