/**
 * The composition root: opens the log, folds the tables, brings disk and processes in line with them, and only then serves. Owns the order
 * of start and stop, and no behaviour of its own.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Logger } from "pino";
import { collectionService } from "./api/collection.ts";
import { containersService } from "./api/containers.ts";
import { contentService } from "./api/content.ts";
import { diffService } from "./api/diff.ts";
import { differsInOrder, remoteDiffer } from "./api/differs.ts";
import { eventsService } from "./api/events.ts";
import { type Fault, GrpcServer, removeStale } from "./api/grpc/mod.ts";
import { healthService } from "./api/health.ts";
import { imagesService } from "./api/images.ts";
import { introspectionService } from "./api/introspection.ts";
import { leasesService } from "./api/leases.ts";
import { logService } from "./api/log.ts";
import { namespacesService } from "./api/namespaces.ts";
import { plugins } from "./api/plugins.ts";
import { queryService } from "./api/query.ts";
import { activeMounts, rootfsMounts } from "./api/snapshot-life.ts";
import { picturesService } from "./api/snapshot-pictures.ts";
import { snapshotsService } from "./api/snapshots.ts";
import { failureOf } from "./api/status.ts";
import { tasksService } from "./api/tasks.ts";
import { ttrpcEventsService } from "./api/ttrpc-events.ts";
import { versionService } from "./api/version.ts";
import { volumesService } from "./api/volumes.ts";
import { CollectionSchedule, Collector, check, InFlight } from "./collection/mod.ts";
import type { Config } from "./config.ts";
import { ContentStore } from "./content/mod.ts";
import { Log } from "./events/mod.ts";
import { openLedger, type Origin } from "./ledger.ts";
import { Mounters, ProgramMounter } from "./mounts/mod.ts";
import { errorCode, Files, peerOf, randomIds, systemClock } from "./platform/mod.ts";
import { core, Tables } from "./projections/mod.ts";
import { RestartMonitor, restartPolicies } from "./restart/mod.ts";
import { TtrpcServer } from "./shim/ttrpc/mod.ts";
import { settle } from "./settle.ts";
import { SnapshotWorkers } from "./snapshots/mod.ts";
import { openSnapshotters } from "./snapshotters.ts";
import { searchPathOf, TaskManager } from "./tasks/mod.ts";
import { verifyWith } from "./verify.ts";
import { Arrangements } from "./volumes/mod.ts";
import * as wire from "./wire/mod.ts";

/** How long calls under way may take to end when the daemon stops. */
const STOP_GRACE_MS = 2_000;

/** How long after its start the daemon tells new subscribers of the exits since then: clients connect again within a few seconds. */
const RESUBSCRIBE_NS = 10_000_000_000n;

/** The containerd version whose services are served: clients read it and use what came with it. */
const CONTAINERD_VERSION = "1.6.20";

export interface Daemon {
  readonly address: string;
  /** Lets calls end, and leaves shims and their containers running. */
  stop(): Promise<void>;
}

/** Starts a daemon; resolves once it serves. `version` is shiplog's own. */
export async function startDaemon(config: Config, logger: Logger, version: string): Promise<Daemon> {
  const { root, state, address, ttrpcAddress } = config;
  const files = new Files();
  const onFatal = (error: Error): never => {
    logger.fatal({ err: error }, "what is on disk is no longer known to follow; the next start reads it again");
    process.exit(1);
  };
  const onLeftover = (error: Error): void =>
    logger.warn({ err: error }, "could not be removed; the next start tries again");
  const onFault = ({ error, during, request }: Fault): void =>
    logger.error({ err: error, during, request }, "a call failed unexpectedly");

  await files.makeDirectory("daemon.makeDirectory", root, 0o711);
  await files.makeDirectory("daemon.makeDirectory", state, 0o711);
  const { segmentBytes } = config.log;
  const log = await Log.open({ root, files, onFatal, ...(segmentBytes === undefined ? {} : { segmentBytes }) });
  if (log.recovered !== undefined)
    logger.warn(log.recovered, "the log ended in an unfinished write, which was put aside");
  const tables = await Tables.open({
    root,
    files,
    projection: core,
    log,
    onFatal,
    onDiscarded: (directory, reason) =>
      logger.warn({ directory, reason }, "these tables could not be used and were built anew"),
  });
  const ledger = openLedger({ log, tables, clock: systemClock });
  const startedAt = log.next;
  const resubscribedBy = systemClock.now() + RESUBSCRIBE_NS;

  const store = new ContentStore({ root, files });
  await store.open();
  // Apart, so that measuring or removing a directory never waits behind a layer.
  const layerWorkers = new SnapshotWorkers(availableParallelism());
  const inFlight = new InFlight();
  const { proxies } = config;
  const kept = await openSnapshotters({ root, proxies, logId: log.logId, inFlight, onTrouble: onLeftover });
  const snapshotters = kept.byName;
  const temporary = join(state, "mounts");
  await files.makeDirectory("daemon.makeDirectory", temporary);
  const mounters = new Mounters();
  for (const [type, command] of config.mounters) mounters.register(type, new ProgramMounter(command));
  const apply = { workers: layerWorkers, temporary, mounters };

  const arrangements = new Arrangements({
    ledger,
    mounters,
    directory: join(state, "volumes"),
    mountsOf: (namespace, snapshotter, key) => activeMounts(ledger.view, snapshotters, namespace, snapshotter, key),
    origin: ownOrigin,
    onLeftover,
  });
  const manager = new TaskManager({
    ledger,
    arrange: arrangements.arrange,
    logger,
    clock: systemClock,
    ids: randomIds,
    stateDir: state,
    rootDir: root,
    address,
    ttrpcAddress,
    searchPath: searchPathOf(process.env.PATH),
    daemonDir: fileURLToPath(new URL("../bin", import.meta.url)),
    runtimes: config.runtimes,
    ownShim: fileURLToPath(new URL("../bin/containerd-shim-shiplog-v1", import.meta.url)),
    shim: config.shim,
    hasHistory: async ({ namespace, id }) => {
      for await (const _ of tables.versions("task", namespace, id)) return true;
      return false;
    },
    publishBinary: "/bin/true",
  });

  const monitor = new RestartMonitor({
    ledger,
    tasks: manager,
    rootfsOf: async (namespace, container) =>
      (await rootfsMounts(ledger.view, snapshotters, namespace, container)).map((mount) => ({ target: "", ...mount })),
    history: {
      versions: (namespace, id) => tables.versions("task", namespace, id),
      fact: (position) => log.get(position),
    },
    clock: systemClock,
    ids: randomIds,
    logger,
  });

  const collector = new Collector({ ledger, store, snapshotters, clock: systemClock, ids: randomIds, onLeftover });
  const onFailure = (error: unknown): void => logger.error({ err: error }, "a collection failed; it is tried again");
  const schedule = new CollectionSchedule({
    collector,
    ledger,
    clock: systemClock,
    automatic: config.collection.automatic,
    onFailure,
  });
  const machine = { log, ledger, store, snapshotters, manager, collector, inFlight, state, temporary, onLeftover };
  /** For those who ask for a collection and want to see it done. */
  const collect = async () => {
    const collection = await schedule.collect();
    await collection.filesGone();
    return collection.removed;
  };

  const grpc = new GrpcServer({ ids: randomIds, files, peerOf, onFault });
  grpc.add(
    wire.version.VersionDefinition,
    versionService({ version: `${CONTAINERD_VERSION}+shiplog.${version}`, revision: version }),
  );
  grpc.add(wire.health.HealthDefinition, healthService());
  grpc.add(
    wire.introspection.IntrospectionDefinition,
    introspectionService({
      uuid: await serverUuid(root, files),
      pid: process.pid,
      pidns: BigInt((await files.stat("daemon.statPidNamespace", "/proc/self/ns/pid")).ino),
      plugins: plugins({
        platform: { os: "linux", architecture: architecture() },
        contentRoot: store.directory,
        snapshotters: [...snapshotters.values()].map(({ name, root }) => ({
          name,
          root,
          capabilities: config.proxies.get(name)?.capabilities ?? [],
          exports: config.proxies.get(name)?.exports ?? {},
        })),
        differs: [...config.proxies].flatMap(([name, proxy]) => (proxy.type === "diff" ? [{ name, ...proxy }] : [])),
        optPath: "/opt/containerd",
        restartPolicies,
      }),
    }),
  );
  grpc.add(wire.namespaces.NamespacesDefinition, namespacesService({ ledger, store, onLeftover }));
  grpc.add(wire.containers.ContainersDefinition, containersService({ ledger }));
  grpc.add(wire.images.ImagesDefinition, imagesService({ ledger, collect }));
  grpc.add(wire.leases.LeasesDefinition, leasesService({ ledger, clock: systemClock, ids: randomIds, collect }));
  grpc.add(
    wire.content.ContentDefinition,
    contentService({ ledger, store, onLeftover, sharing: config.content.sharing }),
  );
  grpc.add(wire.snapshots.SnapshotsDefinition, snapshotsService({ ledger, snapshotters, ids: randomIds, onLeftover }));
  const pictures = {
    ledger,
    store,
    snapshotters,
    tasks: manager,
    ids: randomIds,
    clock: systemClock,
    apply,
    platform: { os: "linux", architecture: architecture() },
    versions: (kind: "container" | "snapshot", namespace: string, key: string) => tables.versions(kind, namespace, key),
    warmUp: () => kept.warmUp(temporary),
    onLeftover,
  };
  grpc.add(wire.shiplogSnapshots.SnapshotsDefinition, picturesService(pictures));
  grpc.add(wire.shiplogVolumes.VolumesDefinition, volumesService(pictures));
  const remoteDiffers = new Map(
    config.diff.order.flatMap((name) => {
      const proxy = config.proxies.get(name);
      return proxy === undefined ? [] : [[name, remoteDiffer(proxy.address, ledger)] as const];
    }),
  );
  const walking = diffService({ ledger, store, onLeftover, apply });
  const differs = config.diff.order.map((name) => remoteDiffers.get(name) ?? walking);
  grpc.add(wire.diff.DiffDefinition, differsInOrder(differs));
  grpc.add(wire.tasks.TasksDefinition, tasksService({ manager, ledger, store, onLeftover, apply }));
  grpc.add(
    wire.events.EventsDefinition,
    eventsService({
      ledger,
      clock: systemClock,
      follow: (range) => log.follow(range),
      rowAfter: (fact) => tables.rowAfter(fact),
      startedAt: () => (systemClock.now() < resubscribedBy ? startedAt : undefined),
    }),
  );
  // A damaged log takes no appends, and what is behind the damage is to be looked at too.
  const verify = () => verifyWith(root, log.damage === undefined ? log.durableNext : undefined, () => tables.check());
  grpc.add(
    wire.collection.CollectionDefinition,
    collectionService({
      collect,
      explain: () => collector.explain(),
      check: (repair) => check({ machine, log }, repair),
    }),
  );
  grpc.add(wire.log.LogDefinition, logService({ log, tables, verify }));
  grpc.add(wire.query.QueryDefinition, queryService({ ledger, tables, log, follow: (range) => log.follow(range) }));

  const ttrpc = new TtrpcServer({
    peerOf,
    sameUserOnly: true,
    statusOf: (error) => ({ ...failureOf(error), details: [] }),
  });
  ttrpc.register(wire.eventsTtrpc.EventsDefinition, ttrpcEventsService(manager));

  await removeStale(address, files);
  await removeStale(ttrpcAddress, files);
  await ttrpc.listen(ttrpcAddress);
  if (log.damage === undefined) {
    await settle({
      ledger,
      log,
      tables,
      store,
      snapshotters,
      manager,
      arrangements,
      temporary,
      origin: ownOrigin,
      onLeftover,
      logger,
    });
    await monitor.start();
  } else logger.error({ err: log.damage }, "the log is damaged: reads are served up to the damage, writes are refused");
  await grpc.listen(address);
  if (log.damage === undefined) {
    schedule.start();
    manager.warmUp();
  }

  return {
    address,
    async stop() {
      await grpc.close({ graceMs: STOP_GRACE_MS });
      await schedule.stop();
      await Promise.all([monitor.stop(), manager.close()]);
      await arrangements.stop();
      await ttrpc.close();
      await Promise.all([layerWorkers.close(), kept.close()]);
      for (const differ of remoteDiffers.values()) differ.close();
      await tables.close();
      await log.close();
    },
  };
}

/** What the daemon does by itself. */
const ownOrigin = (namespace: string): Origin => ({
  namespace,
  principal: { uid: process.geteuid!(), gid: process.getegid!(), pid: process.pid, client: "shiplogd" },
  request: randomIds.request(),
});

/** Made at the first start and kept, where containerd keeps it: clients know the daemon by it. */
async function serverUuid(root: string, files: Files): Promise<string> {
  const directory = join(root, "io.containerd.grpc.v1.introspection");
  const file = join(directory, "uuid");
  try {
    return (await files.readFile("daemon.readUuid", file)).toString("utf8").trim();
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  }
  const uuid = randomIds.uuid();
  await files.makeDirectory("daemon.makeDirectory", directory, 0o700);
  await files.writeFileDurably("daemon.writeUuid", file, Buffer.from(uuid));
  return uuid;
}

/** Go's name for this machine's architecture, which image platforms use. */
const architecture = (): string => (process.arch === "x64" ? "amd64" : process.arch);
