/** The namespaces, content, snapshots and diff services on the real transport over a real ledger, in this process. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { contentService } from "../../src/api/content.ts";
import { diffService } from "../../src/api/diff.ts";
import { type Fault, GrpcServer } from "../../src/api/grpc/mod.ts";
import { namespacesService } from "../../src/api/namespaces.ts";
import { sweepSnapshots } from "../../src/api/snapshot-sweep.ts";
import { snapshotsService } from "../../src/api/snapshots.ts";
import { ContentStore, type SharingPolicy, sweepContent } from "../../src/content/mod.ts";
import type { Ledger } from "../../src/ledger.ts";
import { Files, type OperationHook, peerOf, proceed, randomIds } from "../../src/platform/mod.ts";
import { openNative, openOverlayfs, type Snapshotter, SnapshotWorkers } from "../../src/snapshots/mod.ts";
import { content, diff, namespaces, snapshots } from "../../src/wire/mod.ts";
import { openLedgerIn } from "./ledger.ts";

export interface ApiServer {
  readonly root: string;
  /** Path of the unix socket. */
  readonly socket: string;
  readonly ledger: Ledger;
  readonly store: ContentStore;
  readonly snapshotters: ReadonlyMap<string, Snapshotter>;
  /** What no client caused. */
  readonly faults: Fault[];
  readonly leftovers: Error[];
  close(): Promise<void>;
}

/** Starts the services on what `root` holds, as a daemon's start does. `hook` sees each file operation of content and snapshots. */
export async function startApi(root: string, hook: OperationHook = proceed, sharing: SharingPolicy = "shared"): Promise<ApiServer> {
  const opened = await openLedgerIn(root);
  const { ledger } = opened;
  const files = new Files(hook);
  const workers = new SnapshotWorkers(1);
  const faults: Fault[] = [];
  const leftovers: Error[] = [];
  const onLeftover = (error: Error) => void leftovers.push(error);

  const store = new ContentStore({ root, files, hook, lockWaitMsMax: 50 });
  await store.open();
  await sweepContent(ledger.view, store);
  const snapshotters = new Map<string, Snapshotter>();
  for (const [name, open] of [["overlayfs", openOverlayfs] as const, ["native", openNative] as const]) {
    const directory = join(root, `io.containerd.snapshotter.v1.${name}`);
    await mkdir(directory, { recursive: true });
    snapshotters.set(name, await open({ root: directory, workers, hook }));
  }
  await sweepSnapshots(ledger.view, snapshotters, onLeftover);
  const temporary = join(root, "tmp");
  await mkdir(temporary, { recursive: true });

  const server = new GrpcServer({ ids: randomIds, files, peerOf, onFault: (fault) => faults.push(fault) });
  server.add(namespaces.NamespacesDefinition, namespacesService({ ledger, store, onLeftover }));
  server.add(content.ContentDefinition, contentService({ ledger, store, onLeftover, sharing }));
  server.add(snapshots.SnapshotsDefinition, snapshotsService({ ledger, snapshotters, ids: randomIds, onLeftover }));
  server.add(diff.DiffDefinition, diffService({ ledger, store, onLeftover, apply: { workers, temporary } }));
  const socket = join(root, "api.sock");
  await server.listen(socket);

  return {
    root,
    socket,
    ledger,
    store,
    snapshotters,
    faults,
    leftovers,
    close: async () => {
      await server.close({ graceMs: 1000 });
      await workers.close();
      await opened.close();
    },
  };
}
