/**
 * A daemon without its gRPC services: a real ledger, the ttrpc socket that shims forward to, and the task manager. It can be ended
 * as a crash ends it, and begun again on the same log.
 */
import { join } from "node:path";
import type { Facts, FactType, StatedFact } from "../../src/events/catalogue.ts";
import type { Fact } from "../../src/events/fact.ts";
import { peerOf, randomIds, systemClock } from "../../src/platform/mod.ts";
import { TtrpcServer } from "../../src/shim/ttrpc/mod.ts";
import { searchPathOf, TaskManager } from "../../src/tasks/mod.ts";
import { defaultShimSettings } from "../../src/tasks/shim-settings.ts";
import { ShimConnection } from "../../src/tasks/shim-connection.ts";
import { failureOf } from "../../src/api/status.ts";
import { ttrpcEventsService } from "../../src/api/ttrpc-events.ts";
import { eventsTtrpc } from "../../src/wire/mod.ts";
import type { Origin } from "../../src/ledger.ts";
import type { TaskCommand, TaskState } from "../../src/machines/mod.ts";
import { type OpenLedger, openLedgerIn, testOrigin } from "../harness/ledger.ts";
import { logger, noIo, openWorkshop, ownShim, type SpecOptions, specOf, type Workshop } from "./workshop.ts";
import { mkdir } from "node:fs/promises";

/** `runtime`: io.containerd.runc.v2 when nothing is said. */
export type ContainerOptions = SpecOptions & { readonly runtime?: string };

export type TaskFact = Fact & StatedFact;

export class TaskDaemon {
  readonly workshop: Workshop;
  readonly origin: Origin;
  readonly namespace: string;
  readonly #ownShim: string;
  #open: OpenLedger;
  #server: TtrpcServer | undefined;
  #manager: TaskManager;

  /** `ownShim` makes what is run as our own shim; it is given a directory. */
  static async open(given: { readonly ownShim?: (base: string) => Promise<string> } = {}): Promise<TaskDaemon> {
    const workshop = await openWorkshop();
    await mkdir(join(workshop.base, "log"));
    const daemon = new TaskDaemon(
      workshop,
      await openLedgerIn(join(workshop.base, "log")),
      (await given.ownShim?.(workshop.base)) ?? ownShim,
    );
    await daemon.#serve();
    await daemon.manager.recover();
    return daemon;
  }

  private constructor(workshop: Workshop, open: OpenLedger, shim: string) {
    this.#ownShim = shim;
    this.workshop = workshop;
    this.namespace = workshop.namespace;
    this.origin = testOrigin(workshop.namespace);
    this.#open = open;
    this.#manager = this.#newManager();
  }

  get manager(): TaskManager {
    return this.#manager;
  }

  get ledger() {
    return this.#open.ledger;
  }

  get tables() {
    return this.#open.tables;
  }

  get log() {
    return this.#open.log;
  }

  #newManager(): TaskManager {
    const { stateDir, rootDir, address, ttrpcAddress } = this.workshop;
    return new TaskManager({
      ledger: this.#open.ledger,
      logger,
      clock: systemClock,
      ids: randomIds,
      stateDir,
      rootDir,
      address,
      ttrpcAddress,
      searchPath: searchPathOf(process.env.PATH),
      daemonDir: "/usr/bin",
      runtimes: new Map(),
      ownShim: this.#ownShim,
      shim: defaultShimSettings,
      hasHistory: async ({ namespace, id }) => {
        for await (const _ of this.tables.versions("task", namespace, id)) return true;
        return false;
      },
      publishBinary: "/bin/true",
    });
  }

  async #serve(): Promise<void> {
    const server = new TtrpcServer({
      peerOf,
      sameUserOnly: true,
      statusOf: (error) => ({ ...failureOf(error), details: [] }),
    });
    server.register(
      eventsTtrpc.EventsDefinition,
      ttrpcEventsService({ observe: (envelope, reporter) => this.#manager.observe(envelope, reporter) }),
    );
    await server.listen(this.workshop.ttrpcAddress);
    this.#server = server;
  }

  /** Ends the daemon: its connections and sockets go, its shims stay. */
  async stop(): Promise<void> {
    await this.#server?.close();
    this.#server = undefined;
    await this.#manager.close();
  }

  /** Begins a daemon on the log that the last one left; `meanwhile` runs when shims reach it but it has not recovered yet. */
  async begin(meanwhile: () => Promise<void> = async () => {}): Promise<void> {
    await this.#open.close();
    await mkdir(join(this.workshop.base, "log"), { recursive: true });
    this.#open = await openLedgerIn(join(this.workshop.base, "log"));
    this.#manager = this.#newManager();
    await this.#serve();
    await meanwhile();
    await this.#manager.recover();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.begin();
  }

  /** Deletes what the test left running and removes everything; fails when something stays. */
  async remove(): Promise<void> {
    for (const { key } of this.ledger.view.tasks.list(this.namespace)) {
      await this.manager.kill(this.origin, key, { execId: "", signal: 9, all: true }).catch(() => {});
      await this.manager.wait({ namespace: this.namespace, id: key }, "", AbortSignal.timeout(5_000)).catch(() => {});
      await this.manager.delete(this.origin, key);
    }
    await this.stop();
    await this.#open.close();
    await this.workshop.remove();
  }

  /** Stores a container record that runs `args`. */
  async container(id: string, args: readonly string[], options: ContainerOptions = {}): Promise<void> {
    const command = {
      type: "CreateContainer",
      id,
      labels: {},
      image: "",
      runtime: { name: options.runtime ?? "io.containerd.runc.v2", options: null },
      spec: specOf({ namespace: this.namespace, id }, args, options),
      snapshotter: "",
      snapshotKey: "",
      extensions: {},
      sandbox: "",
    } as const;
    await this.ledger.transact(this.origin, () => [{ kind: "container", key: id, command }]);
  }

  create(id: string, io: { stdin: string; stdout: string; stderr: string; terminal: boolean } = noIo) {
    const { rootfs } = this.workshop;
    return this.manager.create(this.origin, id, { rootfs, io, options: null, runtimePath: "", checkpoint: "" });
  }

  /** A container with a running task. */
  async run(id: string, args: readonly string[], options: ContainerOptions = {}): Promise<number> {
    await this.container(id, args, options);
    await this.create(id);
    return (await this.manager.start(this.origin, id, "")).pid;
  }

  async wait(id: string, execId = "") {
    return (await this.manager.wait({ namespace: this.namespace, id }, execId, AbortSignal.timeout(20_000))).exit;
  }

  kill(id: string, signal = 9, execId = "") {
    return this.manager.kill(this.origin, id, { execId, signal, all: false });
  }

  /** A connection of the test's own to the task's shim, to do what a daemon did that died before it could say so. */
  async withShim<T>(id: string, use: (shim: ShimConnection) => Promise<T>): Promise<T> {
    const ended = new AbortController();
    const shim = await ShimConnection.dial({ namespace: this.namespace, id }, this.task(id)!.shim!, ended.signal);
    try {
      return await use(shim);
    } finally {
      ended.abort();
    }
  }

  task(id: string): TaskState | undefined {
    return this.ledger.view.tasks.get(this.namespace, id);
  }

  /** Puts the task's log into a state that only a crash leaves. */
  async record(id: string, ...commands: TaskCommand[]): Promise<void> {
    await this.ledger.transact(this.origin, () => commands.map((command) => ({ kind: "task", key: id, command })));
  }

  /** The facts of a task so far, in order. */
  async facts(id: string): Promise<TaskFact[]> {
    const { next } = await this.ledger.read(() => undefined);
    const facts: TaskFact[] = [];
    for await (const batch of this.#open.log.read({ from: 0, to: next })) {
      for (const fact of batch)
        if (fact.stream === `task/${id}` && fact.namespace === this.namespace) facts.push(fact as TaskFact);
    }
    return facts;
  }

  async types(id: string): Promise<string[]> {
    return (await this.facts(id)).map(({ type }) => type);
  }

  /** The only fact of this type. */
  async only<T extends FactType>(id: string, type: T): Promise<Facts[T] & { readonly position: number }> {
    const found = (await this.facts(id)).filter((fact) => fact.type === type);
    if (found.length !== 1)
      throw new Error(`${found.length} facts ${type} of ${id}: ${(await this.types(id)).join(" ")}`);
    return { ...(found[0]!.data as Facts[T]), position: found[0]!.position };
  }
}
