/**
 * What containers have mounted besides what their shims mount: volumes, and roots of types that only the daemon can mount. Owns when each comes
 * and goes: it comes when the task is created, is recorded before it is there, and goes once the task has ended.
 */
import type { Mount } from "../events/catalogue.ts";
import type { Fact } from "../events/fact.ts";
import { ErrorClass, ShiplogError } from "../error.ts";
import type { Ledger, Origin, Step, View } from "../ledger.ts";
import type { VolumeState } from "../machines/mod.ts";
import type { Mounters } from "../mounts/mod.ts";
import type { MountDescription } from "../platform/mod.ts";
import { parseStream } from "../projections/mod.ts";
import type { ArrangeRequest, Arranged, TaskKey } from "../tasks/mod.ts";
import { Places } from "./places.ts";
import { type BindMount, withMounts } from "./spec.ts";
import { wishesOf } from "./wishes.ts";

export interface ArrangementsOptions {
  readonly ledger: Ledger;
  readonly mounters: Mounters;
  /** For the places where they are mounted. */
  readonly directory: string;
  /** How to mount an active snapshot, and the id of its directory. @throws ShiplogError NotFound */
  readonly mountsOf: (
    namespace: string,
    snapshotter: string,
    key: string,
  ) => Promise<{ readonly id: string; readonly mounts: readonly MountDescription[] }>;
  /** For what the daemon does by itself. */
  readonly origin: (namespace: string) => Origin;
  readonly onLeftover: (error: Error) => void;
}

/** Facts with which whatever a task had mounted has no user any more. */
const endings: ReadonlySet<string> = new Set(["TaskCreateFailed", "TaskExited", "TaskDeleted"]);

export class Arrangements {
  readonly #options: ArrangementsOptions;
  readonly #places: Places;
  readonly #running = new Set<Promise<unknown>>();
  #unobserve: () => void = () => {};

  constructor(options: ArrangementsOptions) {
    this.#options = options;
    this.#places = new Places(options);
  }

  /** Brings what is mounted in line with the tables, when the tasks are recovered, and follows them from then on. */
  async start(): Promise<void> {
    const { ledger } = this.#options;
    this.#unobserve = ledger.observe((facts) => {
      const ended = facts.filter(({ type }) => endings.has(type));
      // In the next microtask, when the append that is being told of is over for everybody.
      if (ended.length > 0) queueMicrotask(() => this.#track(this.#release(ended)));
    });
    for (const { namespace, row } of [...ledger.view.volumes.all()])
      for (const container of Object.keys(row.mounts))
        await this.#unmountVolumes(this.#options.origin(namespace), { namespace, id: container });
    for (const name of await this.#places.list()) await this.#places.letGo(name, () => this.#isNeeded(name));
  }

  /** Lets what is under way end; what is mounted stays. */
  async stop(): Promise<void> {
    this.#unobserve();
    await Promise.allSettled(this.#running);
  }

  /**
   * Mounts what the container's labels ask for, and its root where a shim cannot. To be called when the creation of its task is recorded; when that
   * fails, or the task ends, it is undone.
   * @throws ShiplogError InvalidArgument for a label; NotFound for a volume; FailedPrecondition for one that is exclusive and in use
   */
  readonly arrange = async (
    origin: Origin,
    { namespace, id }: TaskKey,
    { container, rootfs, spec }: ArrangeRequest,
  ): Promise<Arranged> => {
    const wishes = wishesOf(container.labels);
    if (wishes.length > 0 && spec === null)
      throw new ShiplogError(ErrorClass.InvalidArgument, `container ${id} has volumes and no spec`, {
        reason: "SpecMissing",
      });
    if (wishes.length > 0)
      await this.#options.ledger.transact(origin, () =>
        wishes.map(({ volume, path, readOnly }) => ({
          kind: "volume",
          key: volume,
          command: { type: "MountVolume", name: volume, container: id, path, readOnly },
        })),
      );
    const binds: BindMount[] = [];
    for (const { volume, path: destination, readOnly } of wishes)
      binds.push({ source: await this.#holdVolume(namespace, volume), destination, readOnly });
    return {
      spec: spec === null || binds.length === 0 ? spec : withMounts(spec, binds),
      rootfs: await this.#root(namespace, id, rootfs),
    };
  };

  /** The place where the volume's content as it is now is mounted. */
  async #holdVolume(namespace: string, volume: string): Promise<string> {
    const row = this.#options.ledger.view.volumes.get(namespace, volume)!;
    const { id, mounts } = await this.#options.mountsOf(namespace, row.snapshotter, row.snapshotKey);
    return this.#places.hold(volumePlace(namespace, volume, id), async () => mounts);
  }

  /** A root with a part that only the daemon can mount is mounted here, and bound by the shim. */
  async #root(namespace: string, id: string, rootfs: readonly Mount[]): Promise<readonly Mount[]> {
    if (!rootfs.some(({ type }) => this.#options.mounters.isRegistered(type))) return rootfs;
    const source = await this.#places.hold(rootPlace(namespace, id), async () => rootfs);
    return [{ type: "bind", source, target: "", options: ["rbind", "rw"] }];
  }

  async #release(facts: readonly Fact[]): Promise<void> {
    for (const { namespace, stream, position } of facts) {
      const id = parseStream(stream)!.key;
      await this.#unmountVolumes({ ...this.#options.origin(namespace), cause: position }, { namespace, id });
      const root = rootPlace(namespace, id);
      if (this.#hasRegistered) await this.#places.letGo(root, () => this.#isNeeded(root));
    }
  }

  get #hasRegistered(): boolean {
    return this.#options.mounters.hasRegistered;
  }

  /** Records that the container has them no more, and undoes the places that nobody needs now. */
  async #unmountVolumes(origin: Origin, { namespace, id }: TaskKey): Promise<void> {
    const { ledger } = this.#options;
    const volumes = ledger.view.volumes.list(namespace).filter(({ row }) => Object.hasOwn(row.mounts, id));
    if (volumes.length === 0) return;
    await ledger.transact(origin, (view) => {
      // A task of the same name may have come since.
      if (lives(view, namespace, id)) return [];
      return volumes.map(
        ({ key }): Step => ({ kind: "volume", key, command: { type: "RecordVolumeUnmounted", container: id } }),
      );
    });
    for (const { key, row } of volumes) {
      const place = await this.#placeOf(namespace, key, row);
      if (place !== undefined) await this.#places.letGo(place, () => this.#isNeeded(place));
    }
  }

  async #placeOf(namespace: string, volume: string, row: VolumeState): Promise<string | undefined> {
    const directory = this.#options.ledger.view.snapshots.get(namespace, `${row.snapshotter}/${row.snapshotKey}`)?.id;
    return directory === undefined ? undefined : volumePlace(namespace, volume, directory);
  }

  #isNeeded(name: string): boolean {
    return isPlaceNeeded(this.#options.ledger.view, name);
  }

  #track(work: Promise<void>): void {
    const tracked = work.catch((error: unknown) =>
      this.#options.onLeftover(new Error("let go of what a task had mounted", { cause: error })),
    );
    this.#running.add(tracked);
    void tracked.finally(() => this.#running.delete(tracked));
  }
}

/** Whether the task's processes may be there. */
function lives(view: View, namespace: string, id: string): boolean {
  const task = view.tasks.get(namespace, id);
  return task !== undefined && task.exit === null;
}

// Neither an identifier nor a directory's id holds a comma.
const volumePlace = (namespace: string, volume: string, directory: string) =>
  `${namespace}/volume,${volume},${directory}`;
const rootPlace = (namespace: string, id: string) => `${namespace}/root,${id}`;

/** Whether a container that lives has what is mounted at the place; `name` is its path below the directory of places. */
export function isPlaceNeeded(view: View, name: string): boolean {
  const { namespace, kind, what, directory } = readPlace(name);
  if (kind === "root") return lives(view, namespace, what);
  const row = kind === "volume" ? view.volumes.get(namespace, what) : undefined;
  if (row === undefined || Object.keys(row.mounts).length === 0) return false;
  return view.snapshots.get(namespace, `${row.snapshotter}/${row.snapshotKey}`)?.id === directory;
}

function readPlace(name: string) {
  const [namespace = "", rest = ""] = name.split("/");
  const [kind, what = "", directory = ""] = rest.split(",");
  return { namespace, kind, what, directory };
}
