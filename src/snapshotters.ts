/** The snapshotters that the configuration comes to, with the threads that do their work. Owns which work may wait for which. */
import { join } from "node:path";
import { remoteSnapshots } from "./api/snapshot-remote.ts";
import type { InFlight } from "./collection/mod.ts";
import type { Config } from "./config.ts";
import { openNative, openOverlayfs, Proxied, type Snapshotter, SnapshotWorkers } from "./snapshots/mod.ts";

export interface SnapshottersOptions {
  readonly root: string;
  readonly proxies: Config["proxies"];
  readonly logId: string;
  readonly inFlight: InFlight;
  readonly onTrouble: (error: Error) => void;
}

export interface Snapshotters {
  readonly byName: ReadonlyMap<string, Snapshotter>;
  /** Starts a thread that copies, for whoever is about to make containers wait for one; `directory` is an empty one. */
  warmUp(directory: string): Promise<unknown>;
  close(): Promise<void>;
}

/** Directories are containerd's, so that tools which look there find them. */
export async function openSnapshotters({
  root,
  proxies,
  logId,
  inFlight,
  onTrouble,
}: SnapshottersOptions): Promise<Snapshotters> {
  const workers = new SnapshotWorkers(1);
  // Containers stand still while one of these copies, so it never waits for anything else.
  const cloners = new SnapshotWorkers(2);
  // Each snapshotter's removals apart from everything, for one of them may hang.
  const removers = { native: new SnapshotWorkers(1), overlayfs: new SnapshotWorkers(1) };
  const at = (name: keyof typeof removers) => {
    return { root: join(root, `io.containerd.snapshotter.v1.${name}`), workers, cloners, removers: removers[name] };
  };
  const remote = proxied(proxies, logId, onTrouble);
  const all = [await openNative(at("native")), await openOverlayfs(at("overlayfs")), ...remote];
  return {
    byName: new Map(all.map((snapshotter) => [snapshotter.name, inFlight.watch(snapshotter)])),
    warmUp: (directory) => cloners.run("usage", { directory }),
    async close() {
      await Promise.all([workers, cloners, ...Object.values(removers)].map((each) => each.close()));
      for (const each of remote) each.close();
    },
  };
}

/** Those that other processes serve. They are called when they are needed: they may come later, and go and come back. */
function proxied(proxies: Config["proxies"], logId: string, onTrouble: (error: Error) => void): Proxied[] {
  return [...proxies].flatMap(([name, { type, address, snapshotter, exports }]) => {
    if (type !== "snapshot") return [];
    const remote = remoteSnapshots(address, snapshotter);
    return [new Proxied({ name, root: exports.root ?? "", remote, prefix: `shiplog-${logId}-`, onTrouble })];
  });
}
