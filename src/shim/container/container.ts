/**
 * One container: its init and the processes executed in it, from create to delete, or from the journal that a dead shim left.
 *
 * Owns what is legal in which state, in the words of containerd's shim (pkg/process/init_state.go, exec_state.go), and the order of what is done to it:
 * one thing at a time to each process, but for signals and questions. It never waits for another container.
 */
import { rm } from "node:fs/promises";
import { systemClock, withTimeout } from "../../platform/mod.ts";
import { ShimError } from "../error.ts";
import { StatusCode } from "../ttrpc/mod.ts";
import { clearFailed, createInit, startExec, startInit, takeOver } from "./beginnings.ts";
import { type CheckpointRequest, writeCheckpoint } from "./checkpoint.ts";
import { deleteEvent, execAddedEvent, pausedEvent, resumedEvent } from "./events.ts";
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
import { type ContainerParts, Members } from "./members.ts";
import { ContainerProcess, type Ended, neverRan } from "./process.ts";
import type { CreateContainer, ExecProcess } from "./request.ts";
import { unmountRootfs } from "./rootfs.ts";
import { processSpec } from "./spec.ts";

/** How long the exit of a process that a deletion has killed may take to be written down. */
const killedMsMax = 5_000;

const SIGKILL = 9;

/** What a deletion says of a process that never ran. */
const neverStarted: Ended = { exitStatus: 0, exitedAt: 0n };

export class Container {
  readonly id: string;
  readonly bundle: string;
  readonly #members: Members;
  #deleted = false;

  /** Makes the container; its init waits to be started. What a failure leaves is cleared away. @throws Error in containerd's words */
  static async create(request: CreateContainer, parts: ContainerParts): Promise<Container> {
    const members = new Members(request, parts);
    try {
      await members.init.holdingExit(() => createInit(members));
    } catch (error) {
      await clearFailed(members);
      throw error;
    }
    return new Container(members);
  }

  /** Takes over what the journal tells of; its processes are watched from here on, and nothing is done to them. */
  static async adopt(request: CreateContainer, parts: ContainerParts): Promise<Container> {
    const members = new Members(request, parts);
    await takeOver(members);
    return new Container(members);
  }

  private constructor(members: Members) {
    this.id = members.id;
    this.bundle = members.bundle;
    this.#members = members;
  }

  get pid(): number {
    return this.#members.init.pid;
  }

  /** Init, or the exec. @throws ShimError NotFound */
  process(execId: string): ContainerProcess {
    const { init, execs } = this.#members;
    return execId === "" ? init : execs.get(execId).process;
  }

  /** The state's name as clients see it: a paused container's processes are all paused. */
  statusOf(process: ContainerProcess): ContainerStatus {
    const { endings } = this.#members;
    if (process.status === "stopped" || endings.frozen === "no") return process.status;
    return process.execId !== "" || process.status === "running" ? endings.frozen : process.status;
  }

  start(execId: string): Promise<number> {
    const { init, execs, endings } = this.#members;
    if (execId === "") return this.#started(init, () => startInit(this.#members));
    if (endings.initGone)
      throw new ShimError(StatusCode.FailedPrecondition, `container ${this.id} init process is not running`);
    const exec = execs.get(execId);
    return this.#started(exec.process, () => startExec(this.#members, exec));
  }

  exec({ execId, io, spec }: ExecProcess): Promise<void> {
    const { init, execs, request, journal, publisher } = this.#members;
    return init.line.run(async () => {
      execs.assertFree(execId);
      assertMayExec(this.statusOf(init), request.checkpoint !== undefined);
      const exec = { process: new ContainerProcess(execId, io), spec: processSpec(spec, io.terminal) };
      await journal.append({ type: "execAdded", at: now(), execId, io, spec: exec.spec });
      execs.add(exec);
      publisher.publish(execAddedEvent(this.id, execId));
    });
  }

  /** Never waits in line: it is how something that hangs is ended. */
  async kill(execId: string, signal: number, all: boolean): Promise<void> {
    const { init, runc, account, endings } = this.#members;
    const process = this.process(execId);
    if (process !== init) return killExec(process, signal);
    if (process.ended !== undefined && !all) throw finished();
    const kill = () => runc.kill(signal, all);
    try {
      await (all ? account.aside(kill) : kill());
    } catch (error) {
      throw killError(error as Error);
    } finally {
      // Init may have ended while the shim stood aside.
      if (endings.initGone) account.leave();
    }
  }

  pause(): Promise<void> {
    const { init, account, endings, runc, publisher } = this.#members;
    return init.line.run(async () => {
      assertMayPause(this.statusOf(init));
      account.leave();
      endings.frozen = "pausing";
      try {
        await runc.pause();
      } catch (error) {
        endings.frozen = "no";
        account.join();
        throw error;
      }
      endings.frozen = endings.initGone ? "no" : "paused";
      publisher.publish(pausedEvent(this.id));
    });
  }

  resume(): Promise<void> {
    const { init, runc, endings, account, publisher } = this.#members;
    return init.line.run(async () => {
      assertMayResume(this.statusOf(init));
      await runc.resume();
      endings.frozen = "no";
      if (!endings.initGone) account.join();
      publisher.publish(resumedEvent(this.id));
    });
  }

  /** `resources` is OCI's linux.resources as JSON. */
  update(resources: Uint8Array): Promise<void> {
    const { init, runc } = this.#members;
    return init.line.run(async () => {
      assertMayUpdate(this.statusOf(init));
      await runc.update(resources);
    });
  }

  checkpoint(request: CheckpointRequest): Promise<void> {
    const { init, runc } = this.#members;
    return init.line.run(async () => {
      assertMayCheckpoint(this.statusOf(init));
      await writeCheckpoint(runc, this.bundle, request);
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
    return this.#members.runc.pids();
  }

  /** The exec that has this pid, if any. */
  execOfPid(pid: number): string | undefined {
    return this.#members.execs.nameOf(pid);
  }

  /** @throws ShimError NotFound before there is a process */
  stats(): Promise<{ readonly typeUrl: string; readonly value: Uint8Array }> {
    return this.#members.account.stats();
  }

  /** Deletes an exec that has ended or never ran. */
  deleteExec(execId: string): Promise<Ended & { readonly pid: number }> {
    const { execs, maker, journal } = this.#members;
    const { process } = execs.get(execId);
    return process.line.run(async () => {
      if (!execs.has(process)) throw new ShimError(StatusCode.NotFound, "cannot delete a deleted process");
      assertMayDelete(process.status);
      await process.drained();
      await process.release();
      await rm(maker.pidFile(execId), { force: true });
      await journal.append({ type: "execDeleted", at: now(), execId });
      execs.delete(execId);
      const told = { pid: process.pid, ...(process.ended ?? neverStarted) };
      process.end({ exitStatus: neverRan, exitedAt: systemClock.now() });
      return told;
    });
  }

  /** Deletes the container; one that was created and not started is killed. */
  delete(): Promise<Ended & { readonly pid: number }> {
    const { init, execs, journal, publisher } = this.#members;
    return init.line.run(async () => {
      if (this.#deleted) throw new ShimError(StatusCode.NotFound, "cannot delete a deleted process");
      const status = this.statusOf(init);
      assertMayDelete(status);
      await Promise.all(execs.processes.map(({ line }) => line.idle()));
      await this.#clear(status === "created");
      const ended = init.pid === 0 ? neverStarted : await withTimeout(init.exit, killedMsMax);
      await journal.append({ type: "deleted", at: now() });
      this.#deleted = true;
      for (const process of this.#members.processes) process.end({ exitStatus: neverRan, exitedAt: systemClock.now() });
      const told = { pid: init.pid, ...(ended ?? { exitStatus: 128 + SIGKILL, exitedAt: systemClock.now() }) };
      publisher.publish(deleteEvent(this.id, told));
      return told;
    });
  }

  /** Gives up streams and watches; the processes run on. */
  async close(): Promise<void> {
    const { account, endings, journal } = this.#members;
    account.close();
    await endings.settled();
    await Promise.all(this.#members.processes.map((process) => process.release()));
    await journal.close();
  }

  #started(process: ContainerProcess, begin: () => Promise<void>): Promise<number> {
    return process.line.run(() =>
      process.holdingExit(async () => {
        assertMayStart(process === this.#members.init ? this.statusOf(process) : process.status);
        await begin();
        return process.pid;
      }),
    );
  }

  /** Output seen to its end, container and mounts gone. */
  async #clear(force: boolean): Promise<void> {
    const { account, init, runc } = this.#members;
    account.leave();
    if (!force) await init.drained();
    await runc.delete({ force });
    if (force) await init.drained();
    await init.stdio?.close();
    await unmountRootfs(this.bundle);
  }
}

const now = (): string => String(systemClock.now());
