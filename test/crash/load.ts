/**
 * The load of the crash test: containers that are made, run, exec'd and removed call by call, with a journal of what the daemon has
 * acknowledged. A call that fails because the daemon is gone leaves its container in limbo; everything acknowledged before must hold.
 */
import type { Connection } from "../../src/cli/client.ts";
import { containers, snapshots, tasks } from "../../src/wire/mod.ts";
import { execSpec, runtimeSpec } from "../harness/spec.ts";

const SNAPSHOTTER = "overlayfs";
const SIGKILL = 9;
/** Keeps a snapshot from being collected while no container refers to it. */
const rooted = { "containerd.io/gc.root": "the load" };

/** A fact that must be in the log exactly once in the life of this container, because the daemon has answered. */
export interface Acknowledged {
  readonly stream: string;
  readonly type: string;
  readonly execId?: string;
}

/** One container's life so far, as its client knows it. */
export interface Life {
  readonly id: string;
  /** What the init process does: exit with this code at once, or sleep until killed. */
  readonly exitCode: number | undefined;
  readonly execCode: number | undefined;
  readonly acknowledged: Acknowledged[];
  /** Exit codes that Wait or Delete answered, by exec id; the init's under "". */
  readonly observed: Map<string, number>;
  killed: boolean;
  done: boolean;
}

export class Load {
  readonly lives: Life[] = [];
  readonly #namespace: string;
  readonly #parent: string;
  readonly #random: () => number;
  #count = 0;

  /** `parent` is the image's top snapshot; `random` gives numbers in [0, 1). */
  constructor(namespace: string, parent: string, random: () => number) {
    this.#namespace = namespace;
    this.#parent = parent;
    this.#random = random;
  }

  /** Lives whole lives, one after another, until a call fails because the daemon went away. */
  async work(connection: Connection): Promise<void> {
    for (;;) {
      const life = this.#begin();
      try {
        await this.#live(connection, life);
      } catch (error) {
        if (gone(error)) return;
        throw new Error(`container ${life.id}: ${(error as Error).message}`, { cause: error });
      }
    }
  }

  /** Ends the life of a container in whatever state a crash left it. */
  async finish(connection: Connection, life: Life): Promise<void> {
    const { taskService, containerService, snapshotService } = this.#services(connection);
    const containerId = life.id;
    const absent = (error: unknown) => {
      if (!/not found/.test((error as Error).message)) throw error;
      return undefined;
    };
    const task = await taskService.get({ containerId }).catch(absent);
    if (task !== undefined) {
      if (life.exitCode === undefined) {
        life.killed = true;
        await taskService.kill({ containerId, signal: SIGKILL }).catch(absent);
      }
      const created = task.process!.status === 1;
      if (!created || life.exitCode === undefined) {
        life.observed.set("", (await taskService.wait({ containerId })).exitStatus);
      }
      await taskService.delete({ containerId });
    }
    await containerService.delete({ id: containerId }).catch(absent);
    await snapshotService.remove({ snapshotter: SNAPSHOTTER, key: containerId }).catch(absent);
    life.done = true;
  }

  #begin(): Life {
    const sleeps = this.#random() < 0.4;
    const life: Life = {
      id: `c${this.#count++}`,
      exitCode: sleeps ? undefined : Math.floor(this.#random() * 120),
      execCode: sleeps && this.#random() < 0.6 ? Math.floor(this.#random() * 120) : undefined,
      acknowledged: [],
      observed: new Map(),
      killed: false,
      done: false,
    };
    this.lives.push(life);
    return life;
  }

  async #live(connection: Connection, life: Life): Promise<void> {
    const { taskService, containerService, snapshotService } = this.#services(connection);
    const { id } = life;
    const containerId = id;
    const acknowledge = (stream: string, type: string, execId?: string) =>
      life.acknowledged.push({ stream, type, ...(execId === undefined ? {} : { execId }) });
    const snapshot = `snapshot/${SNAPSHOTTER}/${id}`;
    const { mounts } = await snapshotService.prepare({
      snapshotter: SNAPSHOTTER,
      key: id,
      parent: this.#parent,
      labels: rooted,
    });
    acknowledge(snapshot, "SnapshotPrepared");
    const args = life.exitCode === undefined ? ["sleep", "1000"] : ["sh", "-c", `exit ${life.exitCode}`];
    await containerService.create({
      container: {
        id,
        runtime: { name: "io.containerd.runc.v2" },
        spec: runtimeSpec(args, { cgroup: `/${this.#namespace}/${id}` }),
        snapshotter: SNAPSHOTTER,
        snapshotKey: id,
      },
    });
    acknowledge(`container/${id}`, "ContainerCreated");
    await taskService.create({ containerId, rootfs: mounts });
    acknowledge(`task/${id}`, "TaskCreated");
    await taskService.start({ containerId });
    acknowledge(`task/${id}`, "TaskStarted");
    if (life.execCode !== undefined) await this.#exec(connection, life, life.execCode, acknowledge);
    if (life.exitCode === undefined) {
      life.killed = true;
      await taskService.kill({ containerId, signal: SIGKILL });
      acknowledge(`task/${id}`, "TaskSignalled");
    }
    life.observed.set("", (await taskService.wait({ containerId })).exitStatus);
    acknowledge(`task/${id}`, "TaskExited");
    await taskService.delete({ containerId });
    acknowledge(`task/${id}`, "TaskDeleted");
    await containerService.delete({ id });
    acknowledge(`container/${id}`, "ContainerDeleted");
    await snapshotService.remove({ snapshotter: SNAPSHOTTER, key: id });
    acknowledge(snapshot, "SnapshotRemoved");
    life.done = true;
  }

  async #exec(
    connection: Connection,
    life: Life,
    code: number,
    acknowledge: (stream: string, type: string, execId?: string) => void,
  ): Promise<void> {
    const { taskService } = this.#services(connection);
    const { id } = life;
    const call = { containerId: id, execId: "e" };
    await taskService.exec({ ...call, spec: execSpec(["sh", "-c", `exit ${code}`]) });
    acknowledge(`task/${id}`, "ExecAdded", "e");
    await taskService.start(call);
    acknowledge(`task/${id}`, "ExecStarted", "e");
    life.observed.set("e", (await taskService.wait(call)).exitStatus);
    acknowledge(`task/${id}`, "ExecExited", "e");
    await taskService.deleteProcess(call);
    acknowledge(`task/${id}`, "ExecDeleted", "e");
  }

  #services(connection: Connection) {
    return {
      taskService: connection.service(tasks.TasksDefinition, { namespace: this.#namespace }),
      containerService: connection.service(containers.ContainersDefinition, { namespace: this.#namespace }),
      snapshotService: connection.service(snapshots.SnapshotsDefinition, { namespace: this.#namespace }),
    };
  }
}

const UNAVAILABLE = 14;
const CANCELLED = 1;

/** Whether a call failed because the daemon or the connection went away. */
const gone = (error: unknown): boolean => [UNAVAILABLE, CANCELLED].includes((error as { code?: number }).code ?? -1);
