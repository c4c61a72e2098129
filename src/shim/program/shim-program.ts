/**
 * The shim as a running process: it listens at its group's address, serves the bundles that it was started for or asked to adopt, and ends when the
 * daemon says so and nothing is left.
 *
 * Owns what is one for the process: server, publisher, log, the promises that it has made to starts, its end. It owns no container: those are the
 * task service's, and outlive it.
 */
import { setTimeout as delay } from "node:timers/promises";
import { becomeSubreaper, nameProcess, peerOf, withTimeout } from "../../platform/mod.ts";
import { type AdoptResponse, ShimDefinition } from "../../wire/gen/shiplog/shim/v1/shim.ts";
import { adjustOomScore, joinShimCgroup } from "../cgroup/mod.ts";
import { ShimError } from "../error.ts";
import { JournalHeld } from "../journal/mod.ts";
import { Publisher } from "../publisher/mod.ts";
import { type CallStatus, StatusCode, TtrpcClosed, TtrpcError, TtrpcServer } from "../ttrpc/mod.ts";
import { addressOfShim, groupOf } from "./address.ts";
import { taskVersion } from "./answer.ts";
import { type Assignment, adoptRequestOf, assignmentOfAdopt, shimCgroupOf } from "./assignment.ts";
import { annotationsOf, readAddress, writeAddress } from "./bundle.ts";
import { closeServed, listenUnlessServed } from "./claim.ts";
import { LivingShim } from "./living-shim.ts";
import { openLog, type ShimLog } from "./log.ts";
import type { MakeTaskService, TaskService } from "./task-service.ts";

/** How long a start that was given this shim's address counts as a container to come. */
const promiseMs = 60_000;

/**
 * How long a shim stays without a container and unasked. A daemon that died between a start and its create, or a client that deleted a container past
 * its daemon, never asks for the end.
 */
const forgottenMs = 60_000;

/** How long the end waits for the daemon to take the last events; what it then has not taken is in the journals. */
const lastEventsMsMax = 5_000;

/** How long all of the end may take. Each part has a bound of its own, which is less. */
const endMsMax = 30_000;

/** How often a shim that ends while it is asked may be replaced, by this one or another, before a start gives up. */
const attemptsMax = 5;

/** How long a shim that no longer listens may take to be gone: it waits for the daemon to take its last events. */
const predecessorMsMax = 10_000;
const predecessorAskEveryMs = 20;

/** How long another shim may take to say whether it has the container. */
const lookMsMax = 5_000;

export interface ServiceParts {
  /** Shorter for tests than it is by default. */
  readonly forgottenMs?: number;
  readonly makeTaskService: MakeTaskService;
  /** What an error of the service comes to on the wire. */
  readonly statusOf: (error: unknown) => CallStatus;
}

/** Where a bundle is served, and the program if it is this process that does. */
export interface Served {
  readonly address: string;
  readonly program: ShimProgram | undefined;
}

/**
 * Sees to it that one shim serves the bundle: this process, unless the container's own shim or its group's lives. `starter` is the daemon's pid.
 * @throws Error, after which nothing listens
 */
export async function serveBundle(assignment: Assignment, parts: ServiceParts, starter: number): Promise<Served> {
  const { namespace, id, bundle, daemonAddress, grouping } = assignment;
  const group = groupOf(grouping, id, annotationsOf(bundle));
  const address = addressOfShim(daemonAddress, namespace, group);
  const own = readAddress(bundle);
  if (own !== undefined && own !== address && (await hasContainer(own, assignment)))
    return { address: own, program: undefined };
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const program = new ShimProgram(assignment, group, address, parts);
    if (await program.listen(starter)) return { address, program };
    if (await isAdopted(address, assignment)) {
      writeAddress(bundle, address);
      return { address, program: undefined };
    }
  }
  throw new Error(`the shim at ${address} ended each time that it was asked, ${attemptsMax} times`);
}

/** A shim that was started under another grouping or address keeps the container. @throws Error when it does not answer */
async function hasContainer(address: string, { namespace, id }: Assignment): Promise<boolean> {
  const shim = await LivingShim.find(address, namespace);
  try {
    return shim !== undefined && (await shim.call("connect", { id }, lookMsMax)).taskPid !== 0;
  } catch (error) {
    if (error instanceof TtrpcClosed) return false;
    throw new Error(`the shim at ${address} lives and does not answer`, { cause: error });
  } finally {
    shim?.close();
  }
}

/** False when the shim at the address has ended. @throws Error when it refuses, or does not answer */
async function isAdopted(address: string, assignment: Assignment): Promise<boolean> {
  const shim = await LivingShim.find(address, assignment.namespace);
  try {
    if (shim === undefined) return false;
    await shim.adopt(adoptRequestOf(assignment));
    return true;
  } catch (error) {
    if (error instanceof TtrpcClosed) return false;
    if (error instanceof TtrpcError && error.code === StatusCode.Unavailable) {
      await delay(predecessorAskEveryMs);
      return false;
    }
    throw new Error(`the shim at ${address} lives and does not take the container: ${(error as Error).message}`, {
      cause: error,
    });
  } finally {
    shim?.close();
  }
}

export class ShimProgram {
  readonly address: string;
  readonly #assignment: Assignment;
  readonly #server: TtrpcServer;
  readonly #publisher: Publisher;
  readonly #service: TaskService;
  readonly #log: ShimLog;
  readonly #promised = new Map<string, NodeJS.Timeout>();
  readonly #ready = Promise.withResolvers<void>();
  readonly #forgottenMs: number;
  #forgotten: NodeJS.Timeout | undefined;
  #endWanted = false;
  #ending = false;

  /** `group` is undefined when it is the whole namespace. */
  constructor(assignment: Assignment, group: string | undefined, address: string, parts: ServiceParts) {
    const { makeTaskService, statusOf } = parts;
    const { namespace, bundle, ttrpcAddress, joinsContainerCgroup, debug } = assignment;
    this.address = address;
    this.#forgottenMs = parts.forgottenMs ?? forgottenMs;
    this.#assignment = assignment;
    this.#log = openLog(bundle, { debug });
    const { log } = this.#log;
    this.#publisher = new Publisher({ ttrpcAddress, namespace, onTrouble: (text) => log("warning", text) });
    // A shim of several containers cannot be in the groups of all: it is in those of the container that the group is named after, a sandbox's own.
    const joinsCgroupOf = (id: string) => joinsContainerCgroup && id === group;
    const context = {
      namespace,
      publisher: this.#publisher,
      log,
      joinsCgroupOf,
      arrived: (id: string) => this.#release(id),
      departed: () => this.#waitForgotten(),
      shutDown: (id: string) => this.#shutDown(id),
    };
    this.#service = makeTaskService(context);
    this.#server = new TtrpcServer({ peerOf, sameUserOnly: true, statusOf });
    this.#service.register(this.#server);
    this.#server.register(ShimDefinition, {
      adopt: async (request) => this.adopt(assignmentOfAdopt(request)),
      reopenLogs: async ({ id, execId }) => {
        await this.#service.reopenLogs(id, execId);
        return {};
      },
    });
    // Nobody may be waiting for it.
    this.#ready.promise.catch(() => {});
  }

  /** The descriptor of the log, for what the engine itself may have to say. */
  get logDescriptor(): number | undefined {
    return this.#log.descriptor;
  }

  /** Listens and takes over the bundle. False when another shim listens at the address; this one is then done with. @throws Error, after which it does not listen */
  async listen(starter: number): Promise<boolean> {
    const { namespace, id, bundle, daemonAddress, options } = this.#assignment;
    if ((await listenUnlessServed(this.#server, this.address)) === "served") {
      this.#publisher.close();
      await this.#service.close();
      return false;
    }
    try {
      becomeSubreaper();
      const cgroup = shimCgroupOf(options);
      if (cgroup !== undefined) joinShimCgroup(cgroup, process.pid);
      adjustOomScore(process.pid, starter);
      nameProcess("containerd-shim", undefined);
      // The bundle goes when its container does, and the shim may stay for others.
      process.chdir("/");
      await this.#serve(id, bundle);
      this.#ready.resolve();
    } catch (error) {
      this.#ready.reject(error);
      await this.#close();
      throw error;
    }
    this.#log.log("info", "shim listens", {
      namespace,
      id,
      address: this.address,
      daemon: daemonAddress,
      pid: process.pid,
    });
    return true;
  }

  /** Serves one more bundle. @throws Error when it is of another daemon or namespace, or cannot be taken over */
  async adopt(assignment: Assignment): Promise<AdoptResponse> {
    await this.#ready.promise;
    const { namespace, id, bundle, daemonAddress } = assignment;
    if (namespace !== this.#assignment.namespace || daemonAddress !== this.#assignment.daemonAddress) {
      throw new Error(
        `serve ${bundle}: this shim is for namespace ${this.#assignment.namespace} of ${this.#assignment.daemonAddress}`,
      );
    }
    if (this.#ending) throw new ShimError(StatusCode.Unavailable, `serve ${bundle}: this shim is ending`);
    await this.#serve(id, bundle);
    return { address: this.address, version: taskVersion, serves: true };
  }

  /** Ends the process: stops listening, lets the daemon take the last events, gives up what it holds of containers, which run on. */
  async end(reason: string): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    this.#log.log("info", "shim ends", { reason, pid: process.pid });
    // The reply to the call that asked for it goes out first.
    await new Promise((resolve) => setImmediate(resolve));
    try {
      await withTimeout(this.#close(), endMsMax);
    } catch (error) {
      this.#log.log("error", "the shim's end", { error });
    }
    // Whatever went wrong: what is left of a shim that nobody can reach is of no use to anyone.
    process.exit(0);
  }

  /** What nobody caught is told and survived: other containers hang on this process, and under containerd its end would be theirs. */
  surviveFaults(): void {
    const tell = (error: unknown) =>
      this.#log.log("error", "fault in the shim", { error: error instanceof Error ? error.stack : error });
    process.on("uncaughtException", tell);
    process.on("unhandledRejection", tell);
    process.on("SIGTERM", () => void this.end("SIGTERM"));
    process.on("SIGINT", () => void this.end("SIGINT"));
    process.on("SIGUSR1", () => {
      this.#log.log("info", "state", {
        waitingEvents: this.#publisher.waiting,
        droppedEvents: this.#publisher.dropped,
        ...process.memoryUsage(),
      });
    });
  }

  async #serve(id: string, bundle: string): Promise<void> {
    this.#promise(id);
    try {
      await this.#takeOver(id, bundle);
      writeAddress(bundle, this.address);
    } catch (error) {
      this.#release(id);
      throw error;
    }
  }

  /** A shim that is ending has the container's journal until it is gone. */
  async #takeOver(id: string, bundle: string): Promise<void> {
    const deadline = Date.now() + predecessorMsMax;
    for (;;) {
      try {
        return await this.#service.adopt(id, bundle);
      } catch (error) {
        if (!(error instanceof JournalHeld) || Date.now() > deadline) throw error;
        await delay(predecessorAskEveryMs);
      }
    }
  }

  #promise(id: string): void {
    this.#release(id);
    const lapse = () => {
      this.#release(id);
      if (this.#endWanted) this.#endIfIdle("no container came");
    };
    this.#promised.set(id, setTimeout(lapse, promiseMs).unref());
  }

  #release(id: string): void {
    clearTimeout(this.#promised.get(id));
    this.#promised.delete(id);
    this.#waitForgotten();
  }

  /** Begins the time anew after which a shim that then has nothing to do ends by itself. Each change of what it has begins it. */
  #waitForgotten(): void {
    clearTimeout(this.#forgotten);
    this.#forgotten = setTimeout(() => this.#endIfIdle("nobody has asked anything of it"), this.#forgottenMs).unref();
  }

  #shutDown(id: string): void {
    this.#release(id);
    this.#endWanted = true;
    this.#endIfIdle("the daemon asked for it");
  }

  #endIfIdle(reason: string): void {
    if (this.#promised.size === 0 && !this.#service.hasContainers) void this.end(reason);
  }

  async #close(): Promise<void> {
    const closing = closeServed(this.#server, this.address);
    // What it comes to is looked at last, and may be there first.
    closing.catch(() => {});
    await this.#publisher.drained(lastEventsMsMax);
    this.#publisher.close();
    await this.#service.close();
    await closing;
  }
}
