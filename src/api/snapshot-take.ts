/**
 * Taking a picture: a committed snapshot of an active one that goes on. Owns the order: an intent that names the containers which have to
 * stand still, the copy while they do, its way to the disk when they run again, and then the facts. So a crash leaves an intent and a directory
 * that no row names, never half a picture; `settlePictures` closes the one and the sweep takes the other.
 */
import type { Holding } from "../content/mod.ts";
import { ErrorClass, ShiplogError } from "../error.ts";
import type { Labels } from "../events/catalogue.ts";
import type { Fact } from "../events/fact.ts";
import type { Origin, Step, View } from "../ledger.ts";
import type { SnapshotState, TaskState } from "../machines/mod.ts";
import type { Clock } from "../platform/mod.ts";
import type { VersionedRow } from "../projections/mod.ts";
import type { Cloned, Snapshotter, Usage } from "../snapshots/mod.ts";
import {
  removeDirectory,
  rowKey,
  type SnapshotDependencies,
  snapshotAbsent,
  snapshotExists,
  snapshotResource,
  snapshotRow,
} from "./snapshot-life.ts";
import { running } from "./snapshot-users.ts";
import { atStandstill, type Standstill, type StandstillDependencies } from "./standstill.ts";

export interface TakeDependencies extends SnapshotDependencies, StandstillDependencies {
  readonly clock: Clock;
  /** Gets ready whatever copies, so that no container has to wait for its start. */
  readonly warmUp: () => Promise<unknown>;
}

export interface TakeRequest {
  readonly origin: Origin;
  readonly holding: Holding;
  readonly snapshotter: Snapshotter;
  /** Of the active snapshot. */
  readonly key: string;
  /** Of the picture. */
  readonly name: string;
  readonly labels: Labels;
  /** Ends it early: the containers go on, and there is no picture. */
  readonly signal: AbortSignal;
  /** Who may be writing the snapshot. */
  readonly users: (view: View) => readonly string[];
  /** What else is recorded with the picture. */
  readonly steps?: (view: View) => readonly Step[];
}

export interface Taken extends Omit<Standstill<unknown>, "value">, Cloned, Usage {
  readonly next: number;
  /** The moment that the picture shows, unix nanoseconds. */
  readonly at: bigint;
}

/**
 * @throws ShiplogError AlreadyExists when the name is taken; NotFound; FailedPrecondition when the snapshot is not active, or another picture of
 * it is being taken; Unimplemented where the snapshotter cannot; Aborted when a container was started or resumed meanwhile
 */
export async function takeSnapshot(dependencies: TakeDependencies, request: TakeRequest): Promise<Taken> {
  const { ledger, ids, clock } = dependencies;
  const { origin, snapshotter, key, name, users, signal } = request;
  const { namespace } = origin;
  const clone = snapshotter.clone?.bind(snapshotter);
  if (clone === undefined)
    throw new ShiplogError(ErrorClass.Unimplemented, `snapshotter ${snapshotter.name} takes no pictures`, {
      reason: "SnapshotterTakesNoPictures",
    });
  await dependencies.warmUp();
  const id = ids.directory();
  let source = "";
  let pausing: readonly string[] = [];
  const intent = await ledger.transact(origin, (view) => {
    const row = snapshotRow(view, namespace, snapshotter, key);
    source = row?.id ?? "";
    pausing = running(view, namespace, users(view));
    const nameTaken = snapshotRow(view, namespace, snapshotter, name) !== undefined;
    const command = { type: "TakeSnapshot", key, name, id, containers: pausing, nameTaken } as const;
    return [{ kind: "snapshot", key: rowKey(snapshotter, key), command }];
  });
  const outcome = { ...origin, cause: intent.facts.find(({ type }) => type === "SnapshotTaking")!.position };
  try {
    const stood = await atStandstill(dependencies, outcome, pausing, users, async () => {
      const at = clock.now();
      return { at, cloned: await clone(id, source, signal) };
    });
    await snapshotter.sync(id);
    const usage = await snapshotter.usage(id, "active", []);
    const { next } = await record(dependencies, request, outcome, { id, stood, usage });
    const { paused, pausedNs, value } = stood;
    return { next, at: value.at, paused, pausedNs, ...value.cloned, ...usage };
  } catch (error) {
    const failure = classified(error, key);
    // What a daemon that stops leaves open the next one closes, and resumes what is paused.
    if (failure.reason !== "Stopping") {
      await removeDirectory(dependencies, snapshotter, id);
      await recordFailure(dependencies, outcome, rowKey(snapshotter, key), { key, name }, failure.message);
    }
    throw failure;
  }
}

interface Made {
  readonly id: string;
  readonly stood: Standstill<{ readonly at: bigint; readonly cloned: Cloned }>;
  readonly usage: Usage;
}

async function record(
  { ledger }: TakeDependencies,
  { snapshotter, key, name, labels, holding, steps, users }: TakeRequest,
  origin: Origin,
  { id, stood: { value, paused, pausedNs }, usage }: Made,
) {
  const { namespace } = origin;
  return ledger.transact(origin, (view) => {
    const row = snapshotRow(view, namespace, snapshotter, key);
    if (row === undefined) throw snapshotAbsent(key);
    if (snapshotRow(view, namespace, snapshotter, name) !== undefined) throw snapshotExists(name);
    const { at, cloned } = value;
    const container = containerOn(view, namespace, snapshotter.name, key, users(view));
    return [
      {
        kind: "snapshot",
        key: rowKey(snapshotter, key),
        command: { type: "RecordTaken", key, name, paused, pausedNs, ...cloned },
      },
      {
        kind: "snapshot",
        key: rowKey(snapshotter, name),
        command: { type: "KeepPicture", name, of: { key, container, at }, id, parent: row.parent, labels, ...usage },
      },
      ...holding.hold(view, snapshotResource(snapshotter, name)),
      ...(steps?.(view) ?? []),
    ];
  });
}

/** The first of the users that has the snapshot for its root. */
function containerOn(
  view: View,
  namespace: string,
  snapshotter: string,
  key: string,
  users: readonly string[],
): string {
  const isOn = (id: string) => {
    const row = view.containers.get(namespace, id);
    return row?.snapshotter === snapshotter && row.snapshotKey === key;
  };
  return users.find(isOn) ?? "";
}

async function recordFailure(
  { ledger }: Pick<TakeDependencies, "ledger">,
  origin: Origin,
  row: string,
  { key, name }: { readonly key: string; readonly name: string },
  message: string,
): Promise<void> {
  await ledger.transact(origin, (view) => {
    if (view.snapshots.get(origin.namespace, row)?.taking?.name !== name) return [];
    return [{ kind: "snapshot", key: row, command: { type: "RecordTakeFailed", key, name, message } }];
  });
}

function classified(error: unknown, key: string): ShiplogError {
  if (error instanceof ShiplogError) return error;
  const { message, name } = error as Error;
  const changed = name === "TreeChanged";
  return new ShiplogError(changed ? ErrorClass.Aborted : ErrorClass.Unknown, `take a picture of ${key}: ${message}`, {
    reason: changed ? "Disturbed" : "TakeFailed",
    cause: error,
  });
}

export interface SettleDependencies extends StandstillDependencies {
  readonly origin: (namespace: string) => Origin;
  readonly versions: (kind: "task" | "snapshot", namespace: string, key: string) => AsyncIterable<VersionedRow>;
  readonly fact: (position: number) => Promise<Fact | undefined>;
  readonly onLeftover: (error: Error) => void;
}

const interrupted = "the daemon ended while the picture was taken";

/**
 * Closes what a daemon that ended has left open, at start, when the tasks are recovered and before directories are swept: containers that it
 * had paused go on. Resolves with the number of pictures that were not taken.
 */
export async function settlePictures(dependencies: SettleDependencies): Promise<number> {
  const { ledger, tasks, onLeftover } = dependencies;
  let settled = 0;
  for (const { namespace, key: row, row: snapshot } of [...ledger.view.snapshots.all()]) {
    if (snapshot.taking === null) continue;
    const { name, containers } = snapshot.taking;
    const origin = dependencies.origin(namespace);
    for (const id of containers) {
      if (!(await wasPausedFor(dependencies, namespace, row, id))) continue;
      try {
        await tasks.resume(origin, id);
      } catch (error) {
        onLeftover(new Error(`resume container ${id}, which was paused for a picture`, { cause: error }));
      }
    }
    const key = row.slice(row.indexOf("/") + 1);
    await recordFailure({ ledger }, origin, row, { key, name }, interrupted);
    settled += 1;
  }
  return settled;
}

/** Whether the container is paused, and by whoever was taking the picture: a client's pause is the client's to end. */
async function wasPausedFor(
  { ledger, versions, fact }: SettleDependencies,
  namespace: string,
  row: string,
  container: string,
): Promise<boolean> {
  if (ledger.view.tasks.get(namespace, container)?.status !== "paused") return false;
  const pausedAt = await turnedAt(versions("task", namespace, container), "paused");
  const takingAt = await turnedAt(versions("snapshot", namespace, row), "taking");
  const pause = pausedAt === undefined ? undefined : await fact(pausedAt);
  if (pause === undefined || takingAt === undefined) return false;
  // Without a cause it is what the daemon found at its start: it was killed before it could say that it had paused.
  return pause.cause === takingAt || (pause.cause === undefined && pause.principal.client === "shiplogd");
}

/** The position of the fact that brought the entity into this status last. */
async function turnedAt(versions: AsyncIterable<VersionedRow>, status: string): Promise<number | undefined> {
  let at: number | undefined;
  let before: string | undefined;
  for await (const { row, position } of versions) {
    const now = (row as TaskState | SnapshotState | null)?.status;
    if (now === status && before !== status) at = position;
    before = now;
  }
  return at;
}
