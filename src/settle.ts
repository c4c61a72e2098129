/** What a start does before anything is served: processes, mounts, directories and files are brought in line with the tables. */
import type { Logger } from "pino";
import { sweepSnapshots } from "./api/snapshot-sweep.ts";
import { settlePictures } from "./api/snapshot-take.ts";
import { sweepMounts } from "./collection/mod.ts";
import { type ContentStore, sweepContent } from "./content/mod.ts";
import type { Log } from "./events/mod.ts";
import type { Ledger, Origin } from "./ledger.ts";
import type { Tables } from "./projections/mod.ts";
import type { Snapshotter } from "./snapshots/mod.ts";
import type { TaskManager } from "./tasks/mod.ts";
import type { Arrangements } from "./volumes/mod.ts";

export interface Settled {
  readonly ledger: Ledger;
  readonly log: Log;
  readonly tables: Tables;
  readonly store: ContentStore;
  readonly snapshotters: ReadonlyMap<string, Snapshotter>;
  readonly manager: TaskManager;
  readonly arrangements: Arrangements;
  /** The directory of temporary mounts. */
  readonly temporary: string;
  /** For what the daemon does by itself. */
  readonly origin: (namespace: string) => Origin;
  readonly onLeftover: (error: Error) => void;
  readonly logger: Logger;
}

/** Brings processes, directories and files in line with the tables: closes what a crash left open, removes what nothing owns. */
export async function settle(settled: Settled): Promise<void> {
  const { ledger, log, tables, store, snapshotters, manager, arrangements, temporary, origin, onLeftover, logger } =
    settled;
  await manager.recover();
  const pictures = await settlePictures({
    ledger,
    tasks: manager,
    origin,
    versions: (kind, namespace, key) => tables.versions(kind, namespace, key),
    fact: (position) => log.get(position),
    onLeftover,
  });
  await arrangements.start();
  const mounts = await sweepMounts(temporary, onLeftover);
  const snapshots = await sweepSnapshots(ledger.view, snapshotters, onLeftover);
  const content = await sweepContent(ledger.view, store);
  logger.debug({ pictures, mounts, snapshots, content }, "swept");
}
