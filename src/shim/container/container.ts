/**
 * One container: its init and the processes executed in it, from create to delete, or from the journal that a dead shim left.
 *
 * Owns what is legal in which state, in the words of containerd's shim (pkg/process/init_state.go, exec_state.go), and the order of what is done to it:
 * one thing at a time to each process, but for signals and questions. It never waits for another container.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { errorCode, mountAll, type ProcessExit, processStartTime, systemClock, unmountAll, watchExit } from "../../platform/mod.ts";
import { ShimError } from "../error.ts";
import type { Journal } from "../journal/mod.ts";
import type { Publisher } from "../publisher/mod.ts";
import { Runc } from "../runc/mod.ts";
import { StatusCode } from "../ttrpc/mod.ts";
import { Account } from "./account.ts";
import { Adoption } from "./adoption.ts";
import { type CheckpointRequest, writeCheckpoint } from "./checkpoint.ts";
import { createEvent, deleteEvent, execAddedEvent, execStartedEvent, pausedEvent, resumedEvent, startEvent } from "./events.ts";
import { Exits } from "./exits.ts";
import { finished, killError } from "./kill.ts";
import { withLimit } from "./limit.ts";
import { Maker } from "./making.ts";
import { ContainerProcess, type Ended } from "./process.ts";
import type { CreateContainer, ExecProcess } from "./request.ts";
import { hasPrivatePids, processSpec } from "./spec.ts";

/** How long the exit of a process that a deletion has killed may take to be written down. */
const killedMsMax = 5_000;

/** How long exits that are being written down may hold up the end of this shim. */
const lastExitsMsMax = 2_000;

const SIGKILL = 9;

/** What a start that failed comes to for those who wait. */
const neverRan = 255;

export type ContainerStatus = "created" | "running" | "stopped" | "pausing" | "paused";

export interface ContainerParts {
  readonly namespace: string;
  readonly journal: Journal;
  readonly publisher: Publisher;
  readonly joinsContainerCgroup: boolean;
  readonly onTrouble: (text: string, error: unknown) => void;
}

interface Exec {
  readonly process: ContainerProcess;
  readonly spec: string;
}

export class Container {
  readonly id: string;
  readonly bundle: string;
  readonly #request: CreateContainer;
  readonly #parts: ContainerParts;
  readonly #runc: Runc;
  readonly #maker: Maker;
  readonly #exits: Exits;
  readonly #account: Account;
  readonly #init: ContainerProcess;
  readonly #execs = new Map<string, Exec>();
  /** Exits that are being told. */
  readonly #telling = new Set<Promise<void>>();
  #paused: "no" | "pausing" | "paused" = "no";
  /** Init has ended, which may not be told yet. */
  #initGone = false;
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
    this.#maker = new Maker({ namespace, request, onTrouble });
    this.#exits = new Exits({ containerId: request.id, journal, publisher, onTrouble });
    this.#account = new Account({ joins: joinsContainerCgroup, onOom: () => this.#exits.oomed(), onTrouble });
    this.#init = new ContainerProcess("", request.io);
  }

  get pid(): number {
    return this.#init.pid;
  }

  /** Init, or the exec. @throws ShimError NotFound */
  process(execId: string): ContainerProcess {
    return execId === "" ? this.#init : this.#exec(execId).process;
  }

  /** The state's name as clients see it: a paused container's processes are all paused. */
  statusOf(process: ContainerProcess): ContainerStatus {
    if (process.status === "stopped" || this.#paused === "no") return process.status;
    return process.execId !== "" || process.status === "running" ? this.#paused : process.status;
  }

  start(execId: string): Promise<number> {
    if (execId === "") return this.#init.line.run(() => this.#init.holdingExit(() => this.#startInit()));
    if (this.#initGone) throw new ShimError(StatusCode.FailedPrecondition, `container ${this.id} init process is not running`);
    const exec = this.#exec(execId);
    return exec.process.line.run(() => exec.process.holdingExit(() => this.#startExec(exec)));
  }

  exec({ execId, io, spec }: ExecProcess): Promise<void> {
    return this.#init.line.run(async () => {
      if (this.#execs.has(execId)) throw new ShimError(StatusCode.AlreadyExists, `id ${execId}`);
      const status = this.statusOf(this.#init);
      if (status !== "running" && (status !== "created" || this.#request.checkpoint !== undefined)) {
        throw new Error(`cannot exec in a ${status} state`);
      }
      const process = { process: new ContainerProcess(execId, io), spec: processSpec(spec, io.terminal) };
      await this.#parts.journal.append({ type: "execAdded", at: now(), execId, io, spec: process.spec });
      this.#execs.set(execId, process);
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
      if (this.#initGone) this.#account.leave();
    }
  }

  pause(): Promise<void> {
    return this.#init.line.run(async () => {
      const status = this.statusOf(this.#init);
      if (status === "created") throw new Error("cannot pause task in created state");
      if (status !== "running") throw new Error(`cannot pause a ${status} container`);
      this.#account.leave();
      this.#paused = "pausing";
      try {
        await this.#runc.pause();
      } catch (error) {
        this.#paused = "no";
        this.#account.join();
        throw error;
      }
      this.#paused = this.#initGone ? "no" : "paused";
      this.#parts.publisher.publish(pausedEvent(this.id));
    });
  }

  resume(): Promise<void> {
    return this.#init.line.run(async () => {
      const status = this.statusOf(this.#init);
      if (status === "created") throw new Error("cannot resume task in created state");
      if (status !== "paused") throw new Error(`cannot resume a ${status === "running" ? "running process" : `${status} container`}`);
      await this.#runc.resume();
      this.#paused = "no";
      if (!this.#initGone) this.#account.join();
      this.#parts.publisher.publish(resumedEvent(this.id));
    });
  }

  /** `resources` is OCI's linux.resources as JSON. */
  update(resources: Uint8Array): Promise<void> {
    return this.#init.line.run(async () => {
      if (this.#init.status === "stopped") throw new Error("cannot update a stopped container");
      await this.#runc.update(resources);
    });
  }

  checkpoint(request: CheckpointRequest): Promise<void> {
    return this.#init.line.run(async () => {
      const status = this.statusOf(this.#init);
      if (status === "created") throw new Error("cannot checkpoint a task in created state");
      if (status === "stopped") throw new Error("cannot checkpoint a stopped container");
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
    for (const [execId, { process }] of this.#execs) if (process.pid === pid && process.status === "running") return execId;
    return undefined;
  }

  /** @throws ShimError NotFound before there is a process */
  stats(): Promise<{ readonly typeUrl: string; readonly value: Uint8Array }> {
    return this.#account.stats();
  }

  /** Deletes an exec that has ended or never ran. */
  deleteExec(execId: string): Promise<Ended & { readonly pid: number }> {
    const { process } = this.#exec(execId);
    return process.line.run(async () => {
      if (this.#execs.get(execId)?.process !== process) throw new ShimError(StatusCode.NotFound, "cannot delete a deleted process");
      if (process.status === "running") throw new Error("cannot delete a running process");
      await process.drained();
      await process.release();
      await rm(this.#maker.pidFile(execId), { force: true });
      await this.#parts.journal.append({ type: "execDeleted", at: now(), execId });
      this.#execs.delete(execId);
      return { pid: process.pid, ...(process.ended ?? { exitStatus: 0, exitedAt: 0n }) };
    });
  }

  /** Deletes the container; one that was created and not started is killed. */
  delete(): Promise<Ended & { readonly pid: number }> {
    return this.#init.line.run(async () => {
      if (this.#deleted) throw new ShimError(StatusCode.NotFound, "cannot delete a deleted process");
      const status = this.statusOf(this.#init);
      if (status === "running") throw new Error("cannot delete a running process");
      if (status === "paused" || status === "pausing") throw new Error("cannot delete a paused process");
      await Promise.all([...this.#execs.values()].map(({ process }) => process.line.idle()));
      await this.#clear(status === "created");
      const ended = this.#init.pid === 0 ? { exitStatus: 0, exitedAt: 0n } : await withLimit(this.#init.exit, killedMsMax);
      await this.#parts.journal.append({ type: "deleted", at: now() });
      this.#deleted = true;
      const told = { pid: this.#init.pid, ...(ended ?? { exitStatus: 128 + SIGKILL, exitedAt: systemClock.now() }) };
      this.#parts.publisher.publish(deleteEvent(this.id, told));
      return told;
    });
  }

  /** Gives up streams and watches; the processes run on. */
  async close(): Promise<void> {
    this.#account.close();
    await withLimit(Promise.all(this.#telling), lastExitsMsMax);
    await Promise.all(this.#processes().map((process) => process.release()));
    await this.#parts.journal.close();
  }

  #processes(): ContainerProcess[] {
    return [this.#init, ...[...this.#execs.values()].map(({ process }) => process)];
  }

  /** @throws ShimError NotFound */
  #exec(execId: string): Exec {
    const exec = this.#execs.get(execId);
    if (exec === undefined) throw new ShimError(StatusCode.NotFound, `process does not exist ${execId}`);
    return exec;
  }

  async #make(): Promise<void> {
    const { bundle, rootfs, runtime, io, ioUid, ioGid, options, checkpoint } = this.#request;
    const { journal, publisher } = this.#parts;
    const from = { checkpoint: checkpoint?.imagePath ?? "", parentCheckpoint: checkpoint?.parentPath ?? "" };
    const intent = { type: "creating", at: now(), containerId: this.id, runtime, io, ioUid, ioGid, rootfs, ...from, options } as const;
    await journal.append(intent, { durable: true });
    if (rootfs.length > 0) await this.#mount(join(bundle, "rootfs"));
    const init = this.#init;
    if (checkpoint === undefined) {
      await this.#maker.make(init, (making) => this.#runc.create(making));
      await this.#initMade();
    } else await journal.append({ type: "created", at: now(), pid: 0, startTime: 0 }, { durable: true });
    publisher.publish(createEvent(this.#request, init.pid));
  }

  async #mount(directory: string): Promise<void> {
    await mkdir(directory, { mode: 0o711, recursive: true });
    const { rootfs } = this.#request;
    try {
      await mountAll(rootfs, directory);
    } catch (cause) {
      const described = rootfs.map(({ type, source, options }) => `&{${type} ${source} [${options.join(" ")}]}`).join(" ");
      throw new Error(`failed to mount rootfs component ${described}: ${systemText(cause as Error)}`, { cause });
    }
  }

  async #initMade(): Promise<void> {
    const { pid } = this.#init;
    const startTime = processStartTime(pid) ?? 0;
    this.#account.open(pid, { wasWatched: false });
    this.#watch(this.#init);
    await this.#parts.journal.append({ type: "created", at: now(), pid, startTime }, { durable: true });
  }

  async #startInit(): Promise<number> {
    const init = this.#init;
    const status = this.statusOf(init);
    if (status === "paused" || status === "pausing") throw new Error("cannot start a paused process");
    if (status !== "created") throw new Error(`cannot start a ${status} process`);
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
    if (process.status !== "created") throw new Error(`cannot start a ${process.status} process`);
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
    this.#watch(process);
    await this.#parts.journal.append({ type: "execStarted", at: now(), execId, pid, startTime }, { durable: true });
    this.#parts.publisher.publish(execStartedEvent(this.id, execId, pid));
  }

  #watch(process: ContainerProcess, startTime?: number): void {
    const killsBefore = process === this.#init ? 0 : this.#exits.kills;
    process.watch = watchExit(process.pid, startTime);
    void process.watch.exit.then((exit) => {
      const telling = this.#ended(process, exit, killsBefore)
        .catch((error: unknown) => this.#parts.onTrouble("tell of an exit", error))
        .finally(() => this.#telling.delete(telling));
      this.#telling.add(telling);
    });
  }

  async #ended(process: ContainerProcess, exit: ProcessExit, killsBefore: number): Promise<void> {
    const at = systemClock.now();
    this.#account.look();
    const isInit = process === this.#init;
    if (isInit) await this.#initEnded();
    const others = isInit ? this.#processes().filter((other) => other !== process) : [];
    await this.#exits.ended(process, exit, { at, others, killsBefore });
  }

  async #initEnded(): Promise<void> {
    const { onTrouble } = this.#parts;
    this.#initGone = true;
    this.#account.leave();
    // Without a pid namespace of its own nothing ends what init has left behind.
    if (!hasPrivatePids(this.bundle)) {
      await this.#runc.kill(SIGKILL, true).catch((error: unknown) => onTrouble("kill what init has left behind", error));
    }
    if (this.#paused === "no") return;
    // A runtime may have thawed it itself, to be able to kill it.
    const thawed = /not paused/;
    await this.#runc.resume().catch((error: Error) => {
      if (!thawed.test(error.message)) onTrouble("resume what has ended while it was paused", error);
    });
    this.#paused = "no";
  }

  /** Output seen to its end, container and mounts gone. */
  async #clear(force: boolean): Promise<void> {
    this.#account.leave();
    if (!force) await this.#init.drained();
    await this.#runc.delete({ force });
    if (force) await this.#init.drained();
    await this.#init.stdio?.close();
    try {
      await unmountAll(join(this.bundle, "rootfs"));
    } catch (cause) {
      throw new Error(`failed rootfs umount: ${(cause as Error).message}`, { cause });
    }
  }

  async #clearFailed(): Promise<void> {
    const { journal, onTrouble } = this.#parts;
    const tried = async (what: string, action: () => Promise<unknown>) => action().catch((error: unknown) => onTrouble(what, error));
    await tried("clear away a failed create", () => this.#runc.delete({ force: true }));
    await tried("unmount after a failed create", () => unmountAll(join(this.bundle, "rootfs"), { lazy: true }));
    await tried("write down a failed create", () => journal.append({ type: "deleted", at: now() }));
    this.#account.close();
    await this.#init.release();
  }

  async #adopt(): Promise<void> {
    const { journal } = this.#parts;
    const adoption = Adoption.of(journal, this.#maker);
    for (const { process, spec } of adoption.execs) this.#execs.set(process.execId, { process, spec });
    const init = adoption.takeInit(this.#init);
    this.#exits.resume(adoption.state, adoption.kills);
    if (init !== undefined) await this.#adoptInit(adoption, init.startTime);
    for (const { process, startTime } of adoption.running) {
      await this.#maker.resume(process);
      this.#watch(process, startTime);
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
      const status = await this.#runc.status().catch((error: unknown) => onTrouble("ask the runtime for the container's state", error));
      if (status === "paused") {
        this.#account.leave();
        this.#paused = "paused";
      }
      if (init.status === "created" && (status === "running" || status === "paused")) {
        // The earlier shim died after it had started init and before it could tell.
        init.status = "running";
        await journal.append({ type: "started", at: now() });
        publisher.publish(startEvent(this.id, init.pid));
      }
    }
    this.#watch(init, startTime);
  }
}

/** The system's words alone, as Go shows an error of a call: "no such file or directory". */
const systemText = ({ message }: Error): string => /^E[A-Z0-9]+: ([^,]+), /.exec(message)?.[1]?.toLowerCase() ?? message;

const now = (): string => String(systemClock.now());

function killExec(process: ContainerProcess, signal: number): void {
  if (process.pid === 0) throw new ShimError(StatusCode.FailedPrecondition, "process not created");
  if (process.ended !== undefined) throw finished();
  try {
    process.watch?.signal(signal);
  } catch (error) {
    if (errorCode(error) === "ESRCH") throw new ShimError(StatusCode.NotFound, "exec kill error: process already finished");
    throw new Error(`exec kill error: ${(error as Error).message}`, { cause: error });
  }
}
