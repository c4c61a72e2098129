/**
 * One container: its init and the processes executed in it, from create to delete, or from the journal that a dead shim left.
 *
 * Owns what is legal in which state, in the words of containerd's shim (pkg/process/init_state.go, exec_state.go), and the order of what is done to it:
 * one thing at a time to each process, but for signals and questions. It never waits for another container.
 */
import { rm } from "node:fs/promises";
import { processStartTime, systemClock, withTimeout } from "../../platform/mod.ts";
import { ShimError } from "../error.ts";
import type { Journal } from "../journal/mod.ts";
import type { Publisher } from "../publisher/mod.ts";
import { Runc } from "../runc/mod.ts";
import { StatusCode } from "../ttrpc/mod.ts";
import { Account } from "./account.ts";
import { Adoption } from "./adoption.ts";
import { type CheckpointRequest, writeCheckpoint } from "./checkpoint.ts";
import {
  createEvent,
  deleteEvent,
  execAddedEvent,
  execStartedEvent,
  pausedEvent,
  resumedEvent,
  startEvent,
} from "./events.ts";
import { Exits } from "./exits.ts";
import { Endings } from "./endings.ts";
import { type Exec, Execs } from "./execs.ts";
import { finished, killError, killExec } from "./kill.ts";
import {
  assertMayCheckpoint,
  assertMayDelete,
  assertMayExec,
  assertMayPause,
  assertMayResume,
  assertMayStart,
  assertMayUpdate,
  type ContainerStatus,
} from "./legal.ts";
import { Losses } from "./losses.ts";
import { Maker } from "./making.ts";
import { ContainerProcess, type Ended } from "./process.ts";
import type { CreateContainer, ExecProcess } from "./request.ts";
import { detachRootfs, mountRootfs, unmountRootfs } from "./rootfs.ts";
import { processSpec } from "./spec.ts";

/** How long the exit of a process that a deletion has killed may take to be written down. */
const killedMsMax = 5_000;

const SIGKILL = 9;

/** What a process that will never run comes to for those who wait. */
const neverRan = 255;

/** What a deletion says of a process that never ran. */
const neverStarted: Ended = { exitStatus: 0, exitedAt: 0n };

export interface ContainerParts {
  readonly namespace: string;
  readonly journal: Journal;
  readonly publisher: Publisher;
  readonly joinsContainerCgroup: boolean;
  readonly onTrouble: (text: string, error: unknown) => void;
}

export class Container {
  readonly id: string;
  readonly bundle: string;
  readonly #request: CreateContainer;
  readonly #parts: ContainerParts;
  readonly #runc: Runc;
  readonly #maker: Maker;
  readonly #exits: Exits;
  readonly #losses: Losses;
  readonly #account: Account;
  readonly #init: ContainerProcess;
  readonly #execs = new Execs();
  readonly #endings: Endings;
  #deleted = false;

  /** Makes the container; its init waits to be started. What a failure leaves is cleared away. @throws Error in containerd's words */
  static async create(request: CreateContainer, parts: ContainerParts): Promise<Container> {
    const container = new Container(request, parts);
    try {
      await container.#init.holdingExit(() => container.#make());
    } catch (error) {
      await container.#clearFailed();
      throw error;
    }
    return container;
  }

  /** Takes over what the journal tells of; its processes are watched from here on, and nothing is done to them. */
  static async adopt(request: CreateContainer, parts: ContainerParts): Promise<Container> {
    const container = new Container(request, parts);
    await container.#adopt();
    return container;
  }

  private constructor(request: CreateContainer, parts: ContainerParts) {
    const { namespace, journal, publisher, joinsContainerCgroup, onTrouble } = parts;
    this.id = request.id;
    this.bundle = request.bundle;
    this.#request = request;
    this.#parts = parts;
    this.#runc = new Runc(request.runtime, request.bundle, request.id, request);
    this.#exits = new Exits({ containerId: request.id, journal, publisher, onTrouble });
    this.#losses = new Losses({ containerId: request.id, journal, publisher, onTrouble });
    const onLoss: Losses["lost"] = (execId, loss) => this.#losses.lost(execId, loss);
    this.#maker = new Maker({ namespace, request, onLoss, onTrouble });
    this.#account = new Account({ joins: joinsContainerCgroup, onOom: () => this.#exits.oomed(), onTrouble });
    this.#init = new ContainerProcess("", request.io);
    this.#endings = new Endings({
      bundle: request.bundle,
      runc: this.#runc,
      account: this.#account,
      exits: this.#exits,
      init: this.#init,
      execs: this.#execs,
      onTrouble,
    });
  }

  get pid(): number {
    return this.#init.pid;
  }

  /** Init, or the exec. @throws ShimError NotFound */
  process(execId: string): ContainerProcess {
    return execId === "" ? this.#init : this.#execs.get(execId).process;
  }

  /** The state's name as clients see it: a paused container's processes are all paused. */
  statusOf(process: ContainerProcess): ContainerStatus {
    if (process.status === "stopped" || this.#endings.frozen === "no") return process.status;
    return process.execId !== "" || process.status === "running" ? this.#endings.frozen : process.status;
  }

  start(execId: string): Promise<number> {
    if (execId === "") return this.#init.line.run(() => this.#init.holdingExit(() => this.#startInit()));
    if (this.#endings.initGone)
      throw new ShimError(StatusCode.FailedPrecondition, `container ${this.id} init process is not running`);
    const exec = this.#execs.get(execId);
    return exec.process.line.run(() => exec.process.holdingExit(() => this.#startExec(exec)));
  }

  exec({ execId, io, spec }: ExecProcess): Promise<void> {
    return this.#init.line.run(async () => {
      this.#execs.assertFree(execId);
      assertMayExec(this.statusOf(this.#init), this.#request.checkpoint !== undefined);
      const exec = { process: new ContainerProcess(execId, io), spec: processSpec(spec, io.terminal) };
      await this.#parts.journal.append({ type: "execAdded", at: now(), execId, io, spec: exec.spec });
      this.#execs.add(exec);
      this.#parts.publisher.publish(execAddedEvent(this.id, execId));
    });
  }

  /** Never waits in line: it is how something that hangs is ended. */
  async kill(execId: string, signal: number, all: boolean): Promise<void> {
    const process = this.process(execId);
    if (process !== this.#init) return killExec(process, signal);
    if (process.ended !== undefined && !all) throw finished();
    const kill = () => this.#runc.kill(signal, all);
    try {
      await (all ? this.#account.aside(kill) : kill());
    } catch (error) {
      throw killError(error as Error);
    } finally {
      // Init may have ended while the shim stood aside.
      if (this.#endings.initGone) this.#account.leave();
    }
  }

  pause(): Promise<void> {
    return this.#init.line.run(async () => {
      assertMayPause(this.statusOf(this.#init));
      this.#account.leave();
      this.#endings.frozen = "pausing";
      try {
        await this.#runc.pause();
      } catch (error) {
        this.#endings.frozen = "no";
        this.#account.join();
        throw error;
      }
      this.#endings.frozen = this.#endings.initGone ? "no" : "paused";
      this.#parts.publisher.publish(pausedEvent(this.id));
    });
  }

  resume(): Promise<void> {
    return this.#init.line.run(async () => {
      assertMayResume(this.statusOf(this.#init));
      await this.#runc.resume();
      this.#endings.frozen = "no";
      if (!this.#endings.initGone) this.#account.join();
      this.#parts.publisher.publish(resumedEvent(this.id));
    });
  }

  /** `resources` is OCI's linux.resources as JSON. */
  update(resources: Uint8Array): Promise<void> {
    return this.#init.line.run(async () => {
      assertMayUpdate(this.statusOf(this.#init));
      await this.#runc.update(resources);
    });
  }

  checkpoint(request: CheckpointRequest): Promise<void> {
    return this.#init.line.run(async () => {
      assertMayCheckpoint(this.statusOf(this.#init));
      await writeCheckpoint(this.#runc, this.bundle, request);
    });
  }

  resize(execId: string, width: number, height: number): void {
    const process = this.process(execId);
    if (process.status !== "stopped") process.stdio?.resize(width, height);
    else if (execId !== "") throw new Error("cannot resize a stopped container");
  }

  closeStdin(execId: string): void {
    this.process(execId).closeStdin();
  }

  async reopenLogs(execId: string): Promise<void> {
    await this.process(execId).stdio?.reopenLogs();
  }

  pids(): Promise<readonly number[]> {
    return this.#runc.pids();
  }

  /** The exec that has this pid, if any. */
  execOfPid(pid: number): string | undefined {
    return this.#execs.nameOf(pid);
  }

  /** @throws ShimError NotFound before there is a process */
  stats(): Promise<{ readonly typeUrl: string; readonly value: Uint8Array }> {
    return this.#account.stats();
  }

  /** Deletes an exec that has ended or never ran. */
  deleteExec(execId: string): Promise<Ended & { readonly pid: number }> {
    const { process } = this.#execs.get(execId);
    return process.line.run(async () => {
      if (!this.#execs.has(process)) throw new ShimError(StatusCode.NotFound, "cannot delete a deleted process");
      assertMayDelete(process.status);
      await process.drained();
      await process.release();
      await rm(this.#maker.pidFile(execId), { force: true });
      await this.#parts.journal.append({ type: "execDeleted", at: now(), execId });
      this.#execs.delete(execId);
      const told = { pid: process.pid, ...(process.ended ?? neverStarted) };
      process.end({ exitStatus: neverRan, exitedAt: systemClock.now() });
      return told;
    });
  }

  /** Deletes the container; one that was created and not started is killed. */
  delete(): Promise<Ended & { readonly pid: number }> {
    return this.#init.line.run(async () => {
      if (this.#deleted) throw new ShimError(StatusCode.NotFound, "cannot delete a deleted process");
      const status = this.statusOf(this.#init);
      assertMayDelete(status);
      await Promise.all(this.#execs.processes.map(({ line }) => line.idle()));
      await this.#clear(status === "created");
      const ended =
        this.#init.pid === 0 ? neverStarted : await withTimeout(this.#init.exit, killedMsMax);
      await this.#parts.journal.append({ type: "deleted", at: now() });
      this.#deleted = true;
      for (const process of this.#processes()) process.end({ exitStatus: neverRan, exitedAt: systemClock.now() });
      const told = { pid: this.#init.pid, ...(ended ?? { exitStatus: 128 + SIGKILL, exitedAt: systemClock.now() }) };
      this.#parts.publisher.publish(deleteEvent(this.id, told));
      return told;
    });
  }

  /** Gives up streams and watches; the processes run on. */
  async close(): Promise<void> {
    this.#account.close();
    await this.#endings.settled();
    await Promise.all(this.#processes().map((process) => process.release()));
    await this.#parts.journal.close();
  }

  #processes(): ContainerProcess[] {
    return [this.#init, ...this.#execs.processes];
  }

  async #make(): Promise<void> {
    const { rootfs, runtime, io, ioUid, ioGid, options, checkpoint } = this.#request;
    const { journal, publisher } = this.#parts;
    const from = { checkpoint: checkpoint?.imagePath ?? "", parentCheckpoint: checkpoint?.parentPath ?? "" };
    const intent = {
      type: "creating",
      at: now(),
      containerId: this.id,
      runtime,
      io,
      ioUid,
      ioGid,
      rootfs,
      ...from,
      options,
    } as const;
    await journal.append(intent, { durable: true });
    await mountRootfs(this.bundle, rootfs);
    const init = this.#init;
    if (checkpoint === undefined) {
      await this.#maker.make(init, (making) => this.#runc.create(making));
      await this.#initMade();
    } else await journal.append({ type: "created", at: now(), pid: 0, startTime: 0 }, { durable: true });
    publisher.publish(createEvent(this.#request, init.pid));
  }

  async #initMade(): Promise<void> {
    const { pid } = this.#init;
    const startTime = processStartTime(pid) ?? 0;
    this.#account.open(pid, { wasWatched: false });
    this.#endings.watch(this.#init);
    await this.#parts.journal.append({ type: "created", at: now(), pid, startTime }, { durable: true });
  }

  async #startInit(): Promise<number> {
    const init = this.#init;
    assertMayStart(this.statusOf(init));
    const { checkpoint } = this.#request;
    if (checkpoint === undefined) await this.#runc.start();
    else {
      await this.#maker.make(init, (making) => this.#runc.restore(making, checkpoint));
      await this.#initMade();
    }
    init.status = "running";
    await this.#parts.journal.append({ type: "started", at: now() });
    this.#parts.publisher.publish(startEvent(this.id, init.pid));
    return init.pid;
  }

  async #startExec({ process, spec }: Exec): Promise<number> {
    const { execId } = process;
    assertMayStart(process.status);
    try {
      await this.#maker.make(process, (making) => this.#runc.exec(execId, spec, making));
    } catch (error) {
      // Whoever waits for it waits for nothing (pkg/process/exec.go lets go of them too).
      process.end({ exitStatus: neverRan, exitedAt: systemClock.now() });
      throw error;
    }
    await this.#execMade(process);
    return process.pid;
  }

  async #execMade(process: ContainerProcess): Promise<void> {
    const { execId, pid } = process;
    const startTime = processStartTime(pid) ?? 0;
    process.status = "running";
    this.#endings.watch(process);
    await this.#parts.journal.append({ type: "execStarted", at: now(), execId, pid, startTime }, { durable: true });
    this.#parts.publisher.publish(execStartedEvent(this.id, execId, pid));
  }

  /** Output seen to its end, container and mounts gone. */
  async #clear(force: boolean): Promise<void> {
    this.#account.leave();
    if (!force) await this.#init.drained();
    await this.#runc.delete({ force });
    if (force) await this.#init.drained();
    await this.#init.stdio?.close();
    await unmountRootfs(this.bundle);
  }

  async #clearFailed(): Promise<void> {
    const { journal, onTrouble } = this.#parts;
    const tried = async (what: string, action: () => Promise<unknown>) =>
      action().catch((error: unknown) => onTrouble(what, error));
    // Whatever ends now ends as if it had never been: nobody was told of it.
    this.#init.watch?.close();
    await tried("clear away a failed create", () => this.#runc.delete({ force: true }));
    await tried("unmount after a failed create", () => detachRootfs(this.bundle));
    await tried("write down a failed create", () => journal.append({ type: "deleted", at: now() }));
    this.#account.close();
    await this.#init.release();
  }

  async #adopt(): Promise<void> {
    const { journal } = this.#parts;
    const adoption = Adoption.of(journal, this.#maker);
    for (const exec of adoption.execs) this.#execs.add(exec);
    const init = adoption.takeInit(this.#init);
    this.#exits.resume(adoption.state, adoption.kills);
    this.#losses.resume(adoption.state);
    if (init !== undefined) await this.#adoptInit(adoption, init.startTime);
    for (const { process, startTime } of adoption.running) {
      await this.#maker.resume(process);
      this.#endings.watch(process, startTime);
    }
    for (const process of adoption.leftStarting()) {
      await this.#maker.resume(process);
      await process.holdingExit(() => this.#execMade(process));
    }
  }

  /** An init that the journal does not know to have ended; its end may be found out here. */
  async #adoptInit(adoption: Adoption, startTime: number): Promise<void> {
    const init = this.#init;
    const { journal, publisher, onTrouble } = this.#parts;
    await this.#maker.resume(init);
    if (processStartTime(init.pid) === startTime) {
      this.#account.open(init.pid, { wasWatched: adoption.kills > 0 });
      const status = await this.#runc
        .status()
        .catch((error: unknown) => onTrouble("ask the runtime for the container's state", error));
      if (status === "paused") {
        this.#account.leave();
        this.#endings.frozen = "paused";
      }
      if (init.status === "created" && (status === "running" || status === "paused")) {
        // The earlier shim died after it had started init and before it could tell.
        init.status = "running";
        await journal.append({ type: "started", at: now() });
        publisher.publish(startEvent(this.id, init.pid));
      }
    }
    this.#endings.watch(init, startTime);
  }
}

const now = (): string => String(systemClock.now());
