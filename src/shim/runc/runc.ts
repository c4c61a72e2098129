/**
 * The OCI runtime for one container: its commands by name, with their deadlines, and its errors in the words of containerd's shim
 * (containerd: vendor/github.com/containerd/go-runc, pkg/process/init.go).
 *
 * Owns command lines. It keeps no state of a container.
 */
import { readFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { RuntimeChoice } from "../journal/mod.ts";
import { runCommand, type Streams } from "./command.ts";
import { reasonOf, removeRuntimeLog, runtimeLogPath } from "./runtime-log.ts";

/**
 * How long each command may take, in milliseconds. Every one takes some 30 to 100 ms on an idle machine; these only end what is surely hung, before
 * the daemon's own deadline for the call does.
 */
const runcDeadlineMs = {
  create: 110_000,
  start: 110_000,
  exec: 110_000,
  delete: 20_000,
  pause: 50_000,
  checkpoint: 300_000,
  restore: 300_000,
  other: 9_000,
} as const;

export interface RuncOptions {
  readonly noPivotRoot: boolean;
  readonly noNewKeyring: boolean;
  /** Path of criu, or "" for the runtime's own choice. */
  readonly criuPath: string;
}

/** What a process is made with. */
export interface Making {
  readonly streams: Streams;
  readonly consoleSocket: string | undefined;
  /** The runtime writes the process's pid there. */
  readonly pidFile: string;
}

export interface RestoreFrom {
  readonly imagePath: string;
  readonly workPath: string;
  /** Images that these build on, or "". */
  readonly parentPath: string;
}

export class Runc {
  readonly #choice: RuntimeChoice;
  readonly #bundle: string;
  readonly #id: string;
  readonly #options: RuncOptions;

  constructor(choice: RuntimeChoice, bundle: string, id: string, options: RuncOptions) {
    this.#choice = choice;
    this.#bundle = bundle;
    this.#id = id;
    this.#options = options;
  }

  /** Makes the container and resolves with its init's pid. @throws Error "OCI runtime create failed: ..." */
  create(making: Making): Promise<number> {
    const flags = [
      ...(this.#options.noPivotRoot ? ["--no-pivot"] : []),
      ...(this.#options.noNewKeyring ? ["--no-new-keyring"] : []),
    ];
    const args = ["create", "--bundle", this.#bundle, ...flags, ...makingFlags(making), this.#id];
    return this.#make("OCI runtime create failed", args, making, runcDeadlineMs.create);
  }

  /** Makes the container from a checkpoint, running, and resolves with its init's pid. @throws Error "OCI runtime restore failed: ..." */
  restore(making: Making, { imagePath, workPath, parentPath }: RestoreFrom): Promise<number> {
    const parent = parentPath === "" ? [] : ["--parent-path", parentPath];
    const flags = ["--detach", "--no-subreaper", ...(this.#options.noPivotRoot ? ["--no-pivot"] : [])];
    const images = ["--image-path", imagePath, "--work-path", workPath, ...parent];
    const args = ["restore", ...images, ...flags, ...makingFlags(making), "--bundle", this.#bundle, this.#id];
    return this.#make("OCI runtime restore failed", args, making, runcDeadlineMs.restore);
  }

  async start(): Promise<void> {
    await this.#run("OCI runtime start failed", ["start", this.#id], runcDeadlineMs.start);
  }

  /** Runs a process in the container and resolves with its pid; `spec` is an OCI process as JSON. @throws Error "OCI runtime exec failed: ..." */
  async exec(execId: string, spec: string, making: Making): Promise<number> {
    const file = join(this.#bundle, `.${execId}.process.json`);
    await writeFile(file, spec, { mode: 0o600 });
    try {
      const args = ["exec", "--process", file, "--detach", ...makingFlags(making), this.#id];
      return await this.#make("OCI runtime exec failed", args, making, runcDeadlineMs.exec);
    } finally {
      await rm(file, { force: true });
    }
  }

  /** @throws RuncFailed as it is: what a failed signal means depends on its text */
  async kill(signal: number, all: boolean): Promise<void> {
    await this.#command(["kill", ...(all ? ["--all"] : []), this.#id, String(signal)], runcDeadlineMs.other);
  }

  async pause(): Promise<void> {
    await this.#run("OCI runtime pause failed", ["pause", this.#id], runcDeadlineMs.pause);
  }

  async resume(): Promise<void> {
    await this.#run("OCI runtime resume failed", ["resume", this.#id], runcDeadlineMs.pause);
  }

  /** `resources` is OCI's linux.resources as JSON. @throws RuncFailed */
  async update(resources: Uint8Array): Promise<void> {
    const file = join(this.#bundle, ".resources.json");
    await writeFile(file, resources, { mode: 0o600 });
    try {
      await this.#command(["update", "--resources", file, this.#id], runcDeadlineMs.other);
    } finally {
      await rm(file, { force: true });
    }
  }

  /** The pids of everything in the container. @throws RuncFailed */
  async pids(): Promise<readonly number[]> {
    // A container without a process is null to runc.
    return (
      (JSON.parse(await this.#command(["ps", "--format", "json", this.#id], runcDeadlineMs.other)) as
        | number[]
        | null) ?? []
    );
  }

  /** The runtime's own word for the container's state: created, running, paused, stopped. @throws RuncFailed */
  async status(): Promise<string> {
    return (JSON.parse(await this.#command(["state", this.#id], runcDeadlineMs.other)) as { status: string }).status;
  }

  /** One that is not there is no error. @throws Error "failed to delete task: ..." */
  async delete({ force = false } = {}): Promise<void> {
    try {
      await this.#run(
        "failed to delete task",
        ["delete", ...(force ? ["--force"] : []), this.#id],
        runcDeadlineMs.delete,
      );
    } catch (error) {
      if (!(error as Error).message.includes("does not exist")) throw error;
    }
  }

  /** `flags` in the runtime's spelling. @throws RuncFailed */
  async checkpoint(imagePath: string, workPath: string, flags: readonly string[]): Promise<void> {
    await this.#command(
      ["checkpoint", "--image-path", imagePath, "--work-path", workPath, ...flags, this.#id],
      runcDeadlineMs.checkpoint,
    );
  }

  async #make(what: string, args: readonly string[], { streams, pidFile }: Making, limitMs: number): Promise<number> {
    // A pid of an earlier process must not be taken for this one's.
    await rm(pidFile, { force: true });
    await this.#run(what, args, limitMs, streams);
    const pid = Number(readFileSync(pidFile, "utf8"));
    if (!Number.isSafeInteger(pid) || pid <= 0)
      throw new Error(`failed to retrieve OCI runtime container pid: ${pidFile} holds none`);
    return pid;
  }

  async #run(what: string, args: readonly string[], limitMs: number, streams?: Streams): Promise<void> {
    const log = runtimeLogPath(this.#bundle);
    try {
      await runCommand(this.#choice.binary, [...this.#flags(log), ...args], limitMs, streams);
    } catch (cause) {
      throw new Error(`${what}: ${reasonOf(log, cause as Error)}`, { cause });
    } finally {
      removeRuntimeLog(log);
    }
  }

  async #command(args: readonly string[], limitMs: number): Promise<string> {
    const log = runtimeLogPath(this.#bundle);
    try {
      return await runCommand(this.#choice.binary, [...this.#flags(log), ...args], limitMs);
    } finally {
      removeRuntimeLog(log);
    }
  }

  #flags(log: string): string[] {
    const { root, systemdCgroup } = this.#choice;
    const { criuPath } = this.#options;
    const criu = criuPath === "" ? [] : ["--criu", criuPath];
    return [
      "--root",
      root,
      "--log",
      log,
      "--log-format",
      "json",
      ...criu,
      ...(systemdCgroup ? ["--systemd-cgroup"] : []),
    ];
  }
}

function makingFlags({ pidFile, consoleSocket }: Making): string[] {
  return ["--pid-file", pidFile, ...(consoleSocket === undefined ? [] : ["--console-socket", consoleSocket])];
}
