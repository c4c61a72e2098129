/**
 * One look at the machine: what is there that no table knows, and what a table knows that is not there. Owns what to compare with what. A look
 * alone proves nothing, for calls go on meanwhile; `fsck.ts` looks twice.
 */
import { rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type ContentStore, removeUnlinkedBlob } from "../content/mod.ts";
import type { Log } from "../events/mod.ts";
import type { Ledger } from "../ledger.ts";
import { isTemporaryMount, type MountInfo, readMountinfo, unmountAll } from "../platform/mod.ts";
import type { Snapshotter } from "../snapshots/mod.ts";
import type { TaskManager } from "../tasks/mod.ts";
import { isPlaceNeeded } from "../volumes/mod.ts";
import type { Collector } from "./collector.ts";
import type { InFlight } from "./in-flight.ts";
import type { Trail } from "./trail.ts";

export type FindingKind = "snapshot" | "blob" | "ingest" | "bundle" | "shim" | "runtime state" | "mount" | "attachment";

export interface Suspect {
  readonly kind: FindingKind;
  /** A path or, for a process, its number. With the kind it says which thing this is. */
  readonly place: string;
  readonly message: string;
  readonly trail: Trail;
  /** Removes it; undefined where something is missing, or is not the daemon's to remove. Looks at the tables again first. */
  readonly remove?: () => Promise<void>;
}

export interface Machine {
  readonly log: Pick<Log, "strayAttachments" | "removeAttachment">;
  readonly ledger: Ledger;
  readonly store: ContentStore;
  readonly snapshotters: ReadonlyMap<string, Snapshotter>;
  readonly manager: Pick<TaskManager, "strays" | "clearStray">;
  readonly collector: Collector;
  readonly inFlight: InFlight;
  /** Absolute: what need not outlive a reboot, and in it the directory for temporary mounts. */
  readonly state: string;
  readonly temporary: string;
  readonly onLeftover: (error: Error) => void;
}

/** Everything suspicious now, in an order in which it can be removed: what runs first, then mounts, then files. */
export async function look(machine: Machine): Promise<Suspect[]> {
  return [
    ...(await strays(machine)),
    ...mounts(machine),
    ...(await snapshots(machine)),
    ...(await blobs(machine)),
    ...(await ingests(machine)),
    ...(await attachments(machine)),
  ];
}

/** Missing and damaged ones are what a verification of the log finds. */
async function attachments({ log }: Machine): Promise<Suspect[]> {
  return [...(await log.strayAttachments())].map(([name, place]) => ({
    kind: "attachment",
    place,
    message: "a payload that no record of the log names",
    trail: { kind: "none" },
    remove: () => log.removeAttachment(name),
  }));
}

async function strays({ manager }: Machine): Promise<Suspect[]> {
  const messages = {
    bundle: "a bundle of no task",
    shim: "a shim of no task",
    "runtime state": "runc's state of a container of no task",
  } as const;
  return (await manager.strays()).map((stray) => ({
    kind: stray.kind,
    place: stray.place,
    message: `${messages[stray.kind]} (${stray.key.id} in namespace ${stray.key.namespace})`,
    trail: { kind: "stream", namespace: stray.key.namespace, stream: `task/${stray.key.id}` },
    remove: () => manager.clearStray(stray),
  }));
}

async function snapshots({ ledger, snapshotters, collector, inFlight }: Machine): Promise<Suspect[]> {
  const suspects: Suspect[] = [];
  for (const snapshotter of snapshotters.values()) {
    const { name, root } = snapshotter;
    let ids: readonly string[];
    try {
      ids = await snapshotter.list();
    } catch (error) {
      // Of another process's: nothing can be said of it now.
      const message = `its snapshots cannot be looked at: ${(error as Error).message}`;
      suspects.push({ kind: "snapshot", place: name, message, trail: { kind: "none" } });
      continue;
    }
    const owned = ownedDirectories(ledger, name);
    for (const id of ids) {
      if (owned.has(id) || inFlight.has(name, id) || collector.isRemovingSnapshot(name, id)) continue;
      suspects.push({
        kind: "snapshot",
        place: join(root, "snapshots", id),
        message: "a directory that no snapshot names",
        trail: { kind: "directory", snapshotter: name, id },
        remove: async () => {
          if (!ownedDirectories(ledger, name).has(id)) await snapshotter.remove(id);
        },
      });
    }
    for (const [id, { namespace, key, status, hasParent }] of owned) {
      // A view of something has no directory of its own.
      // Neither has what another process made by itself.
      if (ids.includes(id) || (status === "view" && hasParent) || id.startsWith("=")) continue;
      suspects.push({
        kind: "snapshot",
        place: join(root, "snapshots", id),
        message: `the directory of the ${status} snapshot ${key} in namespace ${namespace} is missing`,
        trail: { kind: "stream", namespace, stream: `snapshot/${key}` },
      });
    }
  }
  return suspects;
}

/** By directory id. */
function ownedDirectories({ view }: Ledger, snapshotter: string) {
  const owned = new Map<
    string,
    { readonly namespace: string; readonly key: string; readonly status: string; readonly hasParent: boolean }
  >();
  for (const { namespace, key, row } of view.snapshots.all()) {
    if (key.startsWith(`${snapshotter}/`)) {
      owned.set(row.id, { namespace, key, status: row.status, hasParent: row.parent !== "" });
      // Not recorded yet as a snapshot of its own, and not to be removed either.
      if (row.taking !== null) owned.set(row.taking.id, { namespace, key, status: "view", hasParent: true });
    }
  }
  return owned;
}

async function blobs({ ledger, store, collector, onLeftover }: Machine): Promise<Suspect[]> {
  const suspects: Suspect[] = [];
  const onDisk = new Set(await store.listBlobs());
  const { view } = ledger;
  for (const digest of onDisk) {
    if (view.blobLinks(digest) > 0 || store.isBlobBusy(digest) || collector.isRemovingBlob(digest)) continue;
    suspects.push({
      kind: "blob",
      place: store.blobPath(digest),
      message: "content that no namespace links",
      trail: { kind: "blob", digest },
      remove: () => removeUnlinkedBlob({ ledger, store, onLeftover }, digest),
    });
  }
  for (const { namespace, key: digest } of view.blobs.all()) {
    if (onDisk.has(digest)) continue;
    const message = `the bytes of a blob in namespace ${namespace} are missing`;
    suspects.push({
      kind: "blob",
      place: store.blobPath(digest),
      message,
      trail: { kind: "stream", namespace, stream: `blob/${digest}` },
    });
  }
  return suspects;
}

async function ingests({ ledger, store, collector }: Machine): Promise<Suspect[]> {
  return (await store.listIngests()).flatMap(({ name, path, ingest }): Suspect[] => {
    if (ingest === undefined) {
      const message = "an upload's directory that does not say of which upload";
      return [
        {
          kind: "ingest",
          place: path,
          message,
          trail: { kind: "none" },
          remove: () => store.removeIngestDirectory(name),
        },
      ];
    }
    const { namespace, ref } = ingest;
    const isKnown = () => ledger.view.ingests.get(namespace, ref) !== undefined;
    if (isKnown() || store.isIngestBusy(namespace, ref) || collector.isRemovingIngest(namespace, ref)) return [];
    const remove = () =>
      store.withIngest(namespace, ref, async () => void (isKnown() || (await store.removeIngestDirectory(name))));
    const message = `the bytes of an upload that is not under way (${ref} in namespace ${namespace})`;
    return [
      { kind: "ingest", place: path, message, trail: { kind: "stream", namespace, stream: `ingest/${ref}` }, remove },
    ];
  });
}

/** Mounts on our directories that nothing here uses, and mounts anywhere of snapshots that are no more. */
function mounts({ ledger, snapshotters, state, temporary }: Machine): Suspect[] {
  const bundles = join(state, "io.containerd.runtime.v2.task");
  const places = join(state, "volumes");
  const roots = [...snapshotters.values()].map(({ name, root }) => ({
    directory: join(root, "snapshots"),
    owned: ownedDirectories(ledger, name),
    snapshotter: name,
  }));
  return readMountinfo().flatMap((mount): Suspect[] => {
    const place = mount.mountpoint;
    const held = below(places, place);
    const suspect = (message: string, trail: Trail, isOurs: boolean): Suspect[] => {
      return [
        {
          kind: "mount",
          place,
          message,
          trail,
          ...(isOurs ? { remove: () => unmountAt(place, held.length === 2 || dirname(place) === temporary) } : {}),
        },
      ];
    };
    const [namespace, id] = below(bundles, place);
    if (namespace !== undefined && id !== undefined) {
      if (ledger.view.tasks.get(namespace, id) !== undefined) return [];
      return suspect(
        `mounted in the bundle of no task (${id} in namespace ${namespace})`,
        { kind: "stream", namespace, stream: `task/${id}` },
        true,
      );
    }
    if (held.length === 2)
      return isPlaceNeeded(ledger.view, held.join("/"))
        ? []
        : suspect("mounted for containers that do not need it", { kind: "none" }, true);
    const [name] = below(temporary, place);
    if (name !== undefined)
      return isTemporaryMount(join(temporary, name))
        ? []
        : suspect("a temporary mount that nothing uses", { kind: "none" }, true);
    for (const { directory, owned, snapshotter } of roots) {
      const [within] = below(directory, place);
      const gone = [...(within === undefined ? [] : [within]), ...layersOf(mount, directory)].find(
        (id) => !owned.has(id),
      );
      if (gone !== undefined)
        return suspect(
          `shows snapshot directory ${gone}, which no snapshot names`,
          { kind: "directory", snapshotter, id: gone },
          within !== undefined,
        );
    }
    return [];
  });
}

/** The parts of a path below a directory; none when it is not below it. */
const below = (directory: string, path: string): string[] =>
  path.startsWith(`${directory}/`) ? path.slice(directory.length + 1).split("/") : [];

/** The ids of snapshots' directories that an overlay mount is made of. */
function layersOf({ type, superOptions }: MountInfo, directory: string): string[] {
  if (type !== "overlay") return [];
  const paths = superOptions.flatMap((option) => {
    const [, value] = /^(?:lowerdir|upperdir|workdir)=(.*)$/.exec(option) ?? [];
    return value?.split(":") ?? [];
  });
  return paths.flatMap((path) => below(directory, path).slice(0, 1));
}

/** The directory goes too where it was made for the mount: it is empty then, or not ours to remove. */
async function unmountAt(place: string, directoryGoes: boolean): Promise<void> {
  await unmountAll(place, { lazy: true });
  if (directoryGoes) await rmdir(place).catch(() => {});
}
