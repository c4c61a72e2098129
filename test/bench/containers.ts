/** Containers of one daemon through its gRPC API, as a client makes and ends them. */
import { containers, tasks } from "../../src/wire/mod.ts";
import type { TestDaemon } from "../harness/daemons.ts";
import { type ServiceClient, serviceClient } from "../harness/grpc-client.ts";
import { execSpec, runtimeSpec } from "../harness/spec.ts";
import { namespace, type Stage } from "./stage.ts";

const headers = { namespace } as const;
const runtime = { name: "io.containerd.runc.v2" } as const;
const SIGKILL = 9;

export interface ContainerOptions {
  readonly annotations?: Readonly<Record<string, string>>;
  /** A directory of this machine that the container has at `/bench`. */
  readonly directory?: string;
}

/** URIs, or paths of FIFOs. containerd's shim takes both or none. */
export interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

export class Containers {
  readonly daemon: TestDaemon;
  readonly #stage: Stage;
  readonly #containers: ServiceClient<typeof containers.ContainersDefinition>;
  readonly #tasks: ServiceClient<typeof tasks.TasksDefinition>;

  constructor(stage: Stage, daemon: TestDaemon) {
    this.daemon = daemon;
    this.#stage = stage;
    this.#containers = serviceClient(containers.ContainersDefinition, daemon.address);
    this.#tasks = serviceClient(tasks.TasksDefinition, daemon.address);
  }

  /** Stores a container whose process is `args`, without a task yet, and gives its id. */
  async define(args: readonly string[], { annotations = {}, directory }: ContainerOptions = {}): Promise<string> {
    const id = this.#stage.newId();
    const { typeUrl, value } = runtimeSpec(args, { cgroup: `/${namespace}/${id}` });
    const spec = JSON.parse(value.toString());
    spec.annotations = annotations;
    if (directory !== undefined) {
      spec.mounts.push({ destination: "/bench", type: "bind", source: directory, options: ["rbind", "rw"] });
    }
    await this.#containers.create(
      { container: { id, runtime, spec: { typeUrl, value: Buffer.from(JSON.stringify(spec)) } } },
      headers,
    );
    return id;
  }

  /** Creates the task, with its output nowhere unless it is said where. Gives the pid of its process. */
  async create(id: string, { stdout, stderr }: Output = { stdout: "", stderr: "" }): Promise<number> {
    const io = { stdin: "", stdout, stderr, terminal: false };
    return (await this.#tasks.create({ containerId: id, rootfs: [...this.#stage.rootfs], ...io }, headers)).pid;
  }

  async start(id: string): Promise<void> {
    await this.#tasks.start({ containerId: id }, headers);
  }

  /** A container that runs. Gives its id and the pid of its process. */
  async run(args: readonly string[], options: ContainerOptions & { readonly output?: Output } = {}) {
    const id = await this.define(args, options);
    const pid = await this.create(id, options.output);
    await this.start(id);
    return { id, pid };
  }

  /** Until the container's process has ended; its exit status. */
  async wait(id: string): Promise<number> {
    return (await this.#tasks.wait({ containerId: id }, headers)).exitStatus;
  }

  /** Runs one more process in the container to its end, and gives its exit status. What it leaves is `deleteExec`'s. */
  async exec(id: string, execId: string, args: readonly string[]): Promise<number> {
    await this.#tasks.exec({ containerId: id, execId, spec: execSpec(args) }, headers);
    const ended = this.#tasks.wait({ containerId: id, execId }, headers);
    await this.#tasks.start({ containerId: id, execId }, headers);
    return (await ended).exitStatus;
  }

  async deleteExec(id: string, execId: string): Promise<void> {
    await this.#tasks.deleteProcess({ containerId: id, execId }, headers);
  }

  /** Deletes task and container; the task's process must have ended. Resolves when its output is where it belongs. */
  async delete(id: string): Promise<void> {
    await this.#tasks.delete({ containerId: id }, headers);
    await this.#containers.delete({ id }, headers);
  }

  /** Ends the process and deletes all. */
  async remove(id: string): Promise<void> {
    const ended = this.wait(id);
    await this.#tasks.kill({ containerId: id, signal: SIGKILL, all: false }, headers);
    await ended;
    await this.delete(id);
  }

  close(): void {
    this.#containers.close();
    this.#tasks.close();
  }
}
