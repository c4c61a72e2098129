/**
 * The task service: from the wire to containers and back.
 *
 * Owns which containers this shim has. What is legal for one of them is the container's to say; the process's own life is the program's.
 */
import { systemClock } from "../../platform/mod.ts";
import { ProcessDetails } from "../../wire/gen/containerd/runc/v1/options.ts";
import { type DeleteResponse, TaskDefinition } from "../../wire/gen/containerd/task/v2/shim.ts";
import { Status } from "../../wire/gen/containerd/types/task/task.ts";
import type { Timestamp } from "../../wire/gen/google/protobuf/timestamp.ts";
import { timestampFromUnixNano } from "../../wire/time.ts";
import { Container, type ContainerParts, type ContainerProcess, detachRootfs, Orphans } from "../container/mod.ts";
import { ShimError } from "../error.ts";
import { Journal, journalState } from "../journal/mod.ts";
import type { ServiceContext, TaskService } from "../program/task-service.ts";
import { endRuntimesOf, Runc } from "../runc/mod.ts";
import { StatusCode, type TtrpcHandlers, type TtrpcServer } from "../ttrpc/mod.ts";
import { forgetLastAnswer, keepLastAnswer } from "./last-answer.ts";
import { checkpointOf, createContainerOf, createContainerOfRecord, execProcessOf } from "./request.ts";

type Handlers = TtrpcHandlers<typeof TaskDefinition>;

const statusOnWire = {
  created: Status.CREATED,
  running: Status.RUNNING,
  stopped: Status.STOPPED,
  paused: Status.PAUSED,
  pausing: Status.PAUSING,
} as const;

export function makeTaskService(context: ServiceContext): TaskService {
  return new Service(context);
}

class Service implements TaskService {
  readonly #context: ServiceContext;
  readonly #containers = new Map<string, Container>();
  /** Ids that are being created or taken over: a second create is refused at once. */
  readonly #coming = new Set<string>();
  /** The takings-over among them: whoever asks for one again waits for the one that is under way. */
  readonly #adopting = new Map<string, Promise<void>>();
  /** Those of them whose daemon has asked for the shim's end meanwhile: nobody wants them any more. */
  readonly #givenUp = new Set<string>();

  readonly #orphans: Orphans;

  constructor(context: ServiceContext) {
    this.#context = context;
    this.#orphans = new Orphans((text, error) => this.#trouble(text, error));
  }

  get hasContainers(): boolean {
    return this.#containers.size > 0 || this.#coming.size > 0;
  }

  register(server: TtrpcServer): void {
    const handlers = this.#handlers();
    server.register(TaskDefinition, handlers);
    server.register({ ...TaskDefinition, fullName: "containerd.task.v3.Task" }, handlers);
  }

  async adopt(id: string, bundle: string): Promise<void> {
    const adopting = this.#adopting.get(id);
    if (adopting !== undefined) return adopting;
    if (this.#containers.has(id) || this.#coming.has(id)) return;
    const adoption = this.#adopt(id, bundle);
    this.#adopting.set(id, adoption);
    await adoption.finally(() => this.#adopting.delete(id));
  }

  async #adopt(id: string, bundle: string): Promise<void> {
    this.#coming.add(id);
    try {
      const journal = await Journal.open(bundle);
      try {
        const container = await this.#adopted(journal, bundle);
        if (container === undefined) await journal.close();
        else this.#add(id, container);
      } catch (error) {
        await journal.close();
        throw error;
      }
    } finally {
      this.#coming.delete(id);
      this.#givenUp.delete(id);
    }
  }

  async reopenLogs(id: string, execId: string): Promise<void> {
    await this.#container(id).reopenLogs(execId);
  }

  async close(): Promise<void> {
    this.#orphans.close();
    await Promise.all([...this.#containers.values()].map((container) => container.close()));
    this.#containers.clear();
  }

  /** Undefined when the journal tells of no container that is still there. */
  async #adopted(journal: Journal, bundle: string): Promise<Container | undefined> {
    const { creating, created, deleted } = journalState(journal.entries);
    if (creating === undefined || deleted) return undefined;
    const request = createContainerOfRecord(creating, bundle);
    await endRuntimesOf(bundle);
    if (created !== undefined) return Container.adopt(request, this.#parts(request.id, journal));
    // The shim died in the middle of a create that nobody was told had worked.
    const runc = new Runc(request.runtime, bundle, request.id, request);
    await runc
      .delete({ force: true })
      .catch((error: unknown) => this.#trouble("clear away an unfinished create", error));
    await detachRootfs(bundle);
    await journal.append({ type: "deleted", at: String(systemClock.now()) });
    return undefined;
  }

  #add(id: string, container: Container): void {
    this.#containers.set(id, container);
    this.#context.arrived(id);
  }

  #parts(id: string, journal: Journal): ContainerParts {
    const { namespace, publisher, joinsCgroupOf } = this.#context;
    return {
      namespace,
      journal,
      publisher,
      joinsContainerCgroup: joinsCgroupOf(id),
      onTrouble: (text, error) => this.#trouble(text, error),
    };
  }

  /** Without it the answer is found out from the journal. */
  #keepLastAnswer(bundle: string, answer: DeleteResponse): void {
    try {
      keepLastAnswer(bundle, answer);
    } catch (error) {
      this.#trouble("keep the answer of a deletion", error);
    }
  }

  #trouble(text: string, error: unknown): void {
    this.#context.log("warning", text, { error: error instanceof Error ? error.message : JSON.stringify(error) });
  }

  /** @throws ShimError NotFound */
  #container(id: string): Container {
    const container = this.#containers.get(id);
    if (container === undefined) throw new ShimError(StatusCode.NotFound, "container not created");
    return container;
  }

  #handlers(): Handlers {
    return {
      create: async (request) => {
        const { id, bundle } = request;
        if (this.#containers.has(id) || this.#coming.has(id)) throw new ShimError(StatusCode.AlreadyExists, `id ${id}`);
        this.#coming.add(id);
        try {
          const wanted = createContainerOf(this.#context.namespace, request);
          const journal = await Journal.open(bundle);
          try {
            forgetLastAnswer(bundle);
            const container = await Container.create(wanted, this.#parts(id, journal));
            if (this.#givenUp.has(id)) {
              await container.delete();
              await container.close();
              throw new Error(`container ${id} was given up while it was created`);
            }
            this.#add(id, container);
            return { pid: container.pid };
          } catch (error) {
            await journal.close();
            throw error;
          }
        } finally {
          this.#coming.delete(id);
          this.#givenUp.delete(id);
          this.#context.departed();
        }
      },
      start: async ({ id, execId }) => ({ pid: await this.#container(id).start(execId) }),
      delete: async ({ id, execId }) => {
        const container = this.#container(id);
        const { pid, exitStatus, exitedAt } = await (execId === "" ? container.delete() : container.deleteExec(execId));
        const answer = { pid, exitStatus, exitedAt: timestampFromUnixNano(exitedAt === 0n ? undefined : exitedAt) };
        if (execId === "") {
          this.#containers.delete(id);
          await container.close();
          this.#keepLastAnswer(container.bundle, answer);
          this.#context.departed();
        }
        return answer;
      },
      exec: async (request) => {
        await this.#container(request.id).exec(execProcessOf(request));
        return {};
      },
      state: async ({ id, execId }) => {
        const container = this.#container(id);
        const process = container.process(execId);
        return {
          id: execId === "" ? id : execId,
          bundle: container.bundle,
          pid: process.pid,
          status: statusOnWire[container.statusOf(process)],
          ...process.io,
          ...exitOf(process),
          execId: "",
        };
      },
      wait: async ({ id, execId }) => {
        const process = this.#container(id).process(execId);
        await process.exit;
        return exitOf(process);
      },
      kill: async ({ id, execId, signal, all }) => {
        await this.#container(id).kill(execId, signal, all);
        return {};
      },
      pids: async ({ id }) => {
        const container = this.#container(id);
        const processes = (await container.pids()).map((pid) => {
          const execId = container.execOfPid(pid);
          if (execId === undefined) return { pid, info: undefined };
          const value = Buffer.from(ProcessDetails.encode({ execId }).finish());
          return { pid, info: { typeUrl: "containerd.runc.v1.ProcessDetails", value } };
        });
        return { processes };
      },
      pause: async ({ id }) => {
        await this.#container(id).pause();
        return {};
      },
      resume: async ({ id }) => {
        await this.#container(id).resume();
        return {};
      },
      update: async ({ id, resources }) => {
        await this.#container(id).update(resources?.value ?? Buffer.from("{}"));
        return {};
      },
      checkpoint: async (request) => {
        await this.#container(request.id).checkpoint(checkpointOf(request));
        return {};
      },
      resizePty: async ({ id, execId, width, height }) => {
        this.#container(id).resize(execId, width, height);
        return {};
      },
      closeIO: async ({ id, execId, stdin }) => {
        const container = this.#container(id);
        if (stdin) container.closeStdin(execId);
        return {};
      },
      stats: async ({ id }) => {
        const { typeUrl, value } = await this.#container(id).stats();
        return { stats: { typeUrl, value: Buffer.from(value) } };
      },
      connect: async ({ id }) => ({ shimPid: process.pid, taskPid: this.#containers.get(id)?.pid ?? 0, version: "" }),
      shutdown: async ({ id }) => {
        // The daemon has lost patience with its create, or its client has.
        if (this.#coming.has(id)) this.#givenUp.add(id);
        this.#context.shutDown(id);
        return {};
      },
    };
  }
}

function exitOf({ ended }: ContainerProcess): { readonly exitStatus: number; readonly exitedAt: Timestamp } {
  return { exitStatus: ended?.exitStatus ?? 0, exitedAt: timestampFromUnixNano(ended?.exitedAt) };
}
