/**
 * A connected shim: containerd's task API over ttrpc, each call with a deadline by name.
 *
 * Owns the connection. A call without a reply says nothing about whether the shim did it; what that means is the caller's
 * business. It never connects again by itself, and closing it does nothing to the shim or its containers.
 */
import type { AnyValue, Labels, Mount, ProcessIo, ShimEndpoint } from "../events/catalogue.ts";
import { TtrpcClient } from "../shim/ttrpc/mod.ts";
import {
  type Any,
  type ProcessInfo,
  type RequestOf,
  type ResponseOf,
  shim,
  type TaskStatus,
  unixNanoFromTimestamp,
} from "../wire/mod.ts";
import type { TaskKey } from "./bundle.ts";

/**
 * How long each call may take, in milliseconds. Those that containerd has a limit for have the same (its
 * io.containerd.timeout.*); containerd waits for ever for the others, so these only end what is surely hung: runc may have to
 * mount a large root file system, and a checkpoint is restored within create or start.
 */
export const shimDeadlineMs = {
  dial: 5_000,
  connect: 5_000,
  state: 2_000,
  stats: 2_000,
  shutdown: 3_000,
  create: 120_000,
  start: 120_000,
  /** The shim waits up to 10 s for output that is still on its way. */
  delete: 60_000,
  /** All of the container's memory is written to a disk. */
  checkpoint: 600_000,
  pause: 60_000,
  exec: 10_000,
  kill: 10_000,
  pids: 10_000,
  update: 10_000,
  terminal: 5_000,
} as const;

/** A process as its shim sees it. `exitedAt` in unix nanoseconds, undefined while it runs. */
export interface ProcessState {
  readonly pid: number;
  readonly status: TaskStatus;
  readonly exitStatus: number;
  readonly exitedAt: bigint | undefined;
}

export interface ProcessExit {
  readonly exitStatus: number;
  readonly exitedAt: bigint | undefined;
}

export interface CreateRequest {
  readonly bundle: string;
  readonly rootfs: readonly Mount[];
  readonly io: ProcessIo;
  readonly options: AnyValue | null;
  readonly checkpoint: string;
}

type Methods = typeof shim.TaskDefinition.methods;

/** Version 3 has the same messages under another package name. */
function taskDefinition(version: number) {
  return version === 3 ? { ...shim.TaskDefinition, fullName: "containerd.task.v3.Task" } : shim.TaskDefinition;
}

export class ShimConnection {
  readonly key: TaskKey;
  readonly endpoint: ShimEndpoint;
  readonly #client: TtrpcClient;
  readonly #definition: ReturnType<typeof taskDefinition>;

  /**
   * Connects; whether the shim answers is for `connect` to find out. Aborting `stopping` closes the connection.
   * @throws TtrpcClosed, TtrpcError DeadlineExceeded
   */
  static async dial(key: TaskKey, endpoint: ShimEndpoint, stopping: AbortSignal): Promise<ShimConnection> {
    const client = await TtrpcClient.connect(endpoint.address, { timeoutMs: shimDeadlineMs.dial });
    const close = () => client.close();
    if (stopping.aborted) close();
    stopping.addEventListener("abort", close);
    client.onClose(() => stopping.removeEventListener("abort", close));
    return new ShimConnection(key, endpoint, client);
  }

  private constructor(key: TaskKey, endpoint: ShimEndpoint, client: TtrpcClient) {
    this.key = key;
    this.endpoint = endpoint;
    this.#client = client;
    this.#definition = taskDefinition(endpoint.version);
  }

  /** Resolves when the connection has ended, for whatever reason. */
  get closed(): Promise<void> {
    return this.#client.closed;
  }

  close(): void {
    this.#client.close();
  }

  /** The shim's own pid, and the init process's, 0 when the shim has no such container. */
  async connect(): Promise<{ readonly shimPid: number; readonly taskPid: number }> {
    return this.#call("connect", { id: this.key.id }, shimDeadlineMs.connect);
  }

  async create({ bundle, rootfs, io, options, checkpoint }: CreateRequest): Promise<number> {
    const mounts = rootfs.map((mount) => ({ ...mount, options: [...mount.options] }));
    const request = {
      id: this.key.id,
      bundle,
      rootfs: mounts,
      ...io,
      checkpoint,
      parentCheckpoint: "",
      options: anyOf(options),
    };
    return (await this.#call("create", request, shimDeadlineMs.create)).pid;
  }

  async start(execId: string): Promise<number> {
    return (await this.#call("start", { id: this.key.id, execId }, shimDeadlineMs.start)).pid;
  }

  async state(execId: string, timeoutMs: number = shimDeadlineMs.state): Promise<ProcessState> {
    const reply = await this.#call("state", { id: this.key.id, execId }, timeoutMs);
    const { pid, status, exitStatus } = reply;
    return { pid, status, exitStatus, exitedAt: unixNanoFromTimestamp(reply.exitedAt) };
  }

  /** Waits for the exit, by default for as long as the connection lasts. */
  async wait(execId: string, timeoutMs?: number): Promise<ProcessExit> {
    const { exitStatus, exitedAt } = await this.#call("wait", { id: this.key.id, execId }, timeoutMs);
    return { exitStatus, exitedAt: unixNanoFromTimestamp(exitedAt) };
  }

  async delete(execId: string): Promise<ProcessExit & { readonly pid: number }> {
    const { pid, exitStatus, exitedAt } = await this.#call(
      "delete",
      { id: this.key.id, execId },
      shimDeadlineMs.delete,
    );
    return { pid, exitStatus, exitedAt: unixNanoFromTimestamp(exitedAt) };
  }

  async kill(execId: string, signal: number, all: boolean): Promise<void> {
    await this.#call("kill", { id: this.key.id, execId, signal, all }, shimDeadlineMs.kill);
  }

  async exec(execId: string, io: ProcessIo, spec: AnyValue): Promise<void> {
    await this.#call("exec", { id: this.key.id, execId, ...io, spec: anyOf(spec) }, shimDeadlineMs.exec);
  }

  async pause(): Promise<void> {
    await this.#call("pause", { id: this.key.id }, shimDeadlineMs.pause);
  }

  async resume(): Promise<void> {
    await this.#call("resume", { id: this.key.id }, shimDeadlineMs.pause);
  }

  async checkpoint(path: string, options: AnyValue | null): Promise<void> {
    await this.#call("checkpoint", { id: this.key.id, path, options: anyOf(options) }, shimDeadlineMs.checkpoint);
  }

  async update(resources: AnyValue | null, annotations: Labels): Promise<void> {
    await this.#call(
      "update",
      { id: this.key.id, resources: anyOf(resources), annotations: { ...annotations } },
      shimDeadlineMs.update,
    );
  }

  async resizePty(execId: string, width: number, height: number): Promise<void> {
    await this.#call("resizePty", { id: this.key.id, execId, width, height }, shimDeadlineMs.terminal);
  }

  async closeStdin(execId: string): Promise<void> {
    await this.#call("closeIO", { id: this.key.id, execId, stdin: true }, shimDeadlineMs.terminal);
  }

  async pids(): Promise<ProcessInfo[]> {
    return (await this.#call("pids", { id: this.key.id }, shimDeadlineMs.pids)).processes;
  }

  async stats(): Promise<Any | undefined> {
    return (await this.#call("stats", { id: this.key.id }, shimDeadlineMs.stats)).stats;
  }

  /** Asks the shim to end; one that still has containers goes on, and says so to nobody. */
  async shutdown(): Promise<void> {
    await this.#call("shutdown", { id: this.key.id, now: false }, shimDeadlineMs.shutdown);
  }

  #call<K extends keyof Methods & string>(
    method: K,
    request: RequestOf<Methods[K]>,
    timeoutMs: number | undefined,
  ): Promise<ResponseOf<Methods[K]>> {
    const metadata = { "containerd-namespace-ttrpc": this.key.namespace };
    return this.#client.call(this.#definition, method, request, { timeoutMs, metadata });
  }
}

function anyOf(value: AnyValue | null): Any | undefined {
  return value === null ? undefined : { typeUrl: value.typeUrl, value: Buffer.from(value.value) };
}
