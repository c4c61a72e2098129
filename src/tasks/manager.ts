/**
 * The daemon's side of running things: every operation on tasks, their exits, and their recovery after a restart.
 *
 * Owns the composition of this room and its end. It keeps no state of its own that a restart could lose: what a task is stands
 * in the log, what runs is the shim's, and between the two is only which connection belongs to which task.
 */
import type { Logger } from "pino";
import type { Ledger, Origin } from "../ledger.ts";
import type { Position } from "../events/fact.ts";
import type { TaskState } from "../machines/mod.ts";
import type { Clock, Ids, OperationHook } from "../platform/mod.ts";
import type { Any, ProcessInfo } from "../wire/mod.ts";
import type { Arrange } from "./arrange.ts";
import { Bundles, type TaskKey } from "./bundle.ts";
import { type Checkpoint, type Checkpointed, checkpointTask } from "./checkpoint.ts";
import { type Done, rowOf, shimOf, type TaskContext, throwIfStopping } from "./context.ts";
import { type Created, type CreateTask, createTask } from "./create.ts";
import { deleteTask, type TaskDeleted } from "./delete.ts";
import { type AddExec, addExec, type Deleted, deleteExec } from "./exec.ts";
import { ExitWatches } from "./exit-watches.ts";
import { HeldOutput } from "./held-output.ts";
import { LastExits } from "./last-exits.ts";
import { Launcher } from "./launch.ts";
import {
  pauseTask,
  resumeTask,
  type Signal,
  signalProcess,
  type Started,
  startProcess,
  type Update,
  updateTask,
} from "./lifecycle.ts";
import { LiveShims } from "./live-shims.ts";
import { settleLostConnection } from "./lost-connection.ts";
import { type Envelope, observe, type Reporter } from "./observe.ts";
import { recoverTasks } from "./recover.ts";
import { settleExec, settleInit } from "./settle.ts";
import { shimFailure } from "./shim-error.ts";
import type { ShimSettings } from "./shim-settings.ts";
import { SpareShims } from "./spare-shims.ts";
import { clearStray, findStrays, type Stray } from "./strays.ts";
import { TaskQueue } from "./task-queue.ts";
import { execTask, type Exited, waitForExit } from "./wait.ts";

/** Shims that are asked for their metrics at once. */
const statsMax = 16;

export interface TaskManagerOptions {
  readonly ledger: Ledger;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly stateDir: string;
  readonly rootDir: string;
  /** The daemon's gRPC socket. It names the shims' sockets, so a daemon that is to find its shims again must have the same. */
  readonly address: string;
  /** Where shims forward events to. It must be served before `recover` runs: a shim's end waits for its last events. */
  readonly ttrpcAddress: string;
  /** Directories in which shims are looked for, and that of the daemon's program, which comes last. */
  readonly searchPath: readonly string[];
  readonly daemonDir: string;
  /** Absolute paths of shims by the runtime's name, in place of those that would serve it. */
  readonly runtimes: ReadonlyMap<string, string>;
  /** The absolute path of our own shim. */
  readonly ownShim: string;
  readonly shim: ShimSettings;
  /** Whether the log has ever had a task of this name. */
  readonly hasHistory: (key: TaskKey) => Promise<boolean>;
  /** A program that does no harm when a shim runs it to publish an event, as those before TTRPC_ADDRESS do. */
  readonly publishBinary: string;
  /** Nothing but what the client says, where it is left out. */
  readonly arrange?: Arrange;
  readonly hook?: OperationHook;
}

export interface TaskMetric {
  readonly id: string;
  /** Unix nanoseconds. */
  readonly collectedAt: bigint;
  readonly stats: Any | undefined;
}

export class TaskManager {
  readonly #context: TaskContext;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  readonly #spares: SpareShims;

  constructor(options: TaskManagerOptions) {
    const {
      ledger,
      logger,
      clock,
      ids,
      stateDir,
      rootDir,
      address,
      ttrpcAddress,
      searchPath,
      daemonDir,
      publishBinary,
    } = options;
    const { runtimes: configured, ownShim, shim: settings, hasHistory } = options;
    const hook = options.hook === undefined ? {} : { hook: options.hook };
    this.#spares = new SpareShims({ binary: ownShim, count: settings.spares, logger, ...hook });
    const own = { binary: ownShim, settings, spares: this.#spares };
    const bundles = new Bundles({ stateDir, rootDir, ...hook });
    this.#context = {
      ledger,
      logger,
      clock,
      ids,
      address,
      hasHistory,
      arrange: options.arrange ?? (async (_origin, _key, { rootfs, spec }) => ({ rootfs, spec })),
      runtimePath: { configured, ownShim, searchPath, daemonDir },
      bundles,
      launcher: new Launcher({ address, ttrpcAddress, publishBinary, own, ...hook }),
      shims: new LiveShims(
        (shim) =>
          void this.#track(settleLostConnection(this.#context, shim)).catch((error: unknown) => {
            logger.error({ ...shim.key, err: error }, "settle a lost connection");
          }),
      ),
      queue: new TaskQueue(),
      starting: new Map(),
      settling: new Map(),
      lastExits: new LastExits(),
      exitWatches: new ExitWatches(clock, (key, execId, exit) => {
        // With a shim it is the shim's to tell.
        if (rowOf(this.#context, key)?.shim !== null) return;
        void (execId === "" ? settleInit(this.#context, key, exit) : settleExec(this.#context, key, execId, exit));
      }),
      heldOutput: new HeldOutput(bundles),
      stopping: this.#stop.signal,
    };
  }

  /**
   * Takes over the shims of every task in the log, closes what a crash left open, and clears away what no task owns. To be run
   * once, before any other operation; events may be observed meanwhile.
   */
  recover(): Promise<void> {
    return this.#track(recoverTasks(this.#context));
  }

  /** Keeps shims warm from now on: not before, for they would start beside what has to be recovered. */
  warmUp(): void {
    this.#spares.open();
  }

  /**
   * Ends waits with Unavailable and closes every connection; shims and their containers go on, and intents that are open stay
   * so for the next `recover`. Resolves when nothing of this room runs any more.
   */
  async close(): Promise<void> {
    this.#context.shims.clear();
    this.#stop.abort();
    const sparesEnded = this.#spares.close();
    while (this.#running.size > 0 || this.#context.settling.size > 0) {
      await Promise.allSettled([...this.#running, ...this.#context.settling.values()]);
    }
    this.#context.shims.clear();
    this.#context.exitWatches.close();
    this.#context.heldOutput.close();
    await sparesEnded;
  }

  create(origin: Origin, id: string, request: CreateTask): Promise<Created> {
    return this.#run((context) => createTask(context, origin, keyOf(origin, id), request));
  }

  /** Starts the task, or the exec when `execId` is not empty. */
  start(origin: Origin, id: string, execId: string): Promise<Started> {
    return this.#run((context) => startProcess(context, origin, keyOf(origin, id), execId));
  }

  delete(origin: Origin, id: string): Promise<TaskDeleted> {
    return this.#run((context) => deleteTask(context, origin, keyOf(origin, id)));
  }

  deleteProcess(origin: Origin, id: string, execId: string): Promise<Deleted> {
    return this.#run((context) => deleteExec(context, origin, keyOf(origin, id), execId));
  }

  kill(origin: Origin, id: string, signal: Signal): Promise<Done> {
    return this.#run((context) => signalProcess(context, origin, keyOf(origin, id), signal));
  }

  exec(origin: Origin, id: string, request: AddExec): Promise<Done> {
    return this.#run((context) => addExec(context, origin, keyOf(origin, id), request));
  }

  pause(origin: Origin, id: string): Promise<Done> {
    return this.#run((context) => pauseTask(context, origin, keyOf(origin, id)));
  }

  resume(origin: Origin, id: string): Promise<Done> {
    return this.#run((context) => resumeTask(context, origin, keyOf(origin, id)));
  }

  update(origin: Origin, id: string, update: Update): Promise<Done> {
    return this.#run((context) => updateTask(context, origin, keyOf(origin, id), update));
  }

  checkpoint(origin: Origin, id: string, checkpoint: Checkpoint): Promise<Checkpointed> {
    return this.#run((context) => checkpointTask(context, origin, keyOf(origin, id), checkpoint));
  }

  resizePty(key: TaskKey, execId: string, width: number, height: number): Promise<void> {
    return this.#ask(key, execId, (context) => shimOf(context, key).connection.resizePty(execId, width, height));
  }

  closeStdin(key: TaskKey, execId: string): Promise<void> {
    return this.#ask(key, execId, (context) => shimOf(context, key).connection.closeStdin(execId));
  }

  /** The pids in the task's container; none once its shim is gone. */
  pids(key: TaskKey): Promise<ProcessInfo[]> {
    return this.#ask(key, "", async (context, row) =>
      row.shim === null ? [] : shimOf(context, key).connection.pids(),
    );
  }

  wait(key: TaskKey, execId: string, signal: AbortSignal): Promise<Exited> {
    return this.#run((context) => waitForExit(context, key, execId, signal));
  }

  /** The task's row, in which the exec is. From the tables; no shim is asked. @throws ShiplogError NotFound */
  async get(key: TaskKey, execId: string): Promise<{ readonly row: TaskState; readonly next: Position }> {
    const { value, next } = await this.#context.ledger.read(() => execTask(this.#context, key, execId));
    return { row: value, next };
  }

  /** The namespace's tasks by id, those that are only being created left out. From the tables; no shim is asked. */
  async list(namespace: string): Promise<{
    readonly tasks: readonly { readonly key: string; readonly row: TaskState }[];
    readonly next: Position;
  }> {
    const { value, next } = await this.#context.ledger.read(({ tasks }) =>
      tasks.list(namespace).filter(({ row }) => row.status !== "creating"),
    );
    return { tasks: value, next };
  }

  /** What the shims of these tasks measure; those that do not answer are left out. */
  metrics(namespace: string, ids: readonly string[]): Promise<TaskMetric[]> {
    return this.#run(async (context) => {
      const metrics: TaskMetric[] = [];
      const waiting = [...ids];
      const work = async () => {
        for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
          const collectedAt = context.clock.now();
          try {
            metrics.push({ id, collectedAt, stats: await shimOf(context, { namespace, id }).connection.stats() });
          } catch (error) {
            context.logger.debug({ namespace, id, err: error }, "collect metrics");
          }
        }
      };
      await Promise.all(Array.from({ length: statsMax }, work));
      return metrics.sort((a, b) => (a.id < b.id ? -1 : 1));
    });
  }

  /** What is on the machine of tasks that the tables do not know, and that no operation under way is about. */
  strays(): Promise<Stray[]> {
    return this.#run(findStrays);
  }

  /** Removes it, unless a task of that name has come since. @throws what could not be done */
  clearStray(stray: Stray): Promise<void> {
    return this.#run((context) => clearStray(context, stray));
  }

  /** Takes in an event that a shim forwarded; its namespace and topic have been checked. */
  observe(envelope: Envelope, reporter: Reporter): Promise<void> {
    return this.#run((context) => observe(context, envelope, reporter));
  }

  /** A call that only passes through to the shim. */
  #ask<T>(key: TaskKey, execId: string, call: (context: TaskContext, row: TaskState) => Promise<T>): Promise<T> {
    return this.#run(async (context) => {
      const row = execTask(context, key, execId);
      try {
        return await call(context, row);
      } catch (error) {
        throwIfStopping(context);
        throw shimFailure(error);
      }
    });
  }

  async #run<T>(operation: (context: TaskContext) => Promise<T>): Promise<T> {
    throwIfStopping(this.#context);
    return this.#track(operation(this.#context));
  }

  #track<T>(running: Promise<T>): Promise<T> {
    this.#running.add(running);
    const done = () => this.#running.delete(running);
    running.then(done, done);
    return running;
  }
}

const keyOf = ({ namespace }: Origin, id: string): TaskKey => ({ namespace, id });
