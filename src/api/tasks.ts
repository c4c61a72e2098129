/**
 * containerd.services.tasks.v1.Tasks: what runs. Owns the messages; every operation is the task manager's.
 * Sources: services/tasks/local.go, api/services/tasks/v1.
 */
import { ErrorClass, ShiplogError } from "../error.ts";
import type { Exit, Mount } from "../events/catalogue.ts";
import type { ExecState, TaskState } from "../machines/mod.ts";
import type { CreateTask, TaskKey, TaskManager } from "../tasks/mod.ts";
import {
  type Mount as WireMount,
  type Process,
  TaskStatus,
  type tasks as wire,
  timestampFromUnixNano,
} from "../wire/mod.ts";
import { anyValue } from "./any.ts";
import type { Call } from "./call.ts";
import { type CheckpointDependencies, checkpointUnpacker, storeCheckpoint } from "./checkpoint.ts";
import { parseFilter } from "./filter/mod.ts";
import { identifier } from "./identifier.ts";
import type { Service } from "./service.ts";
import { failureOf } from "./status.ts";
import { checkpointOptions, restorePath } from "./task-options.ts";

export interface TasksDependencies extends CheckpointDependencies {
  readonly manager: TaskManager;
}

export function tasksService(dependencies: TasksDependencies): Service<typeof wire.TasksDefinition> {
  const { manager, ledger } = dependencies;
  /** For what only the shim is asked. */
  async function setPosition(call: Call): Promise<void> {
    call.position = (await ledger.read(() => undefined)).next;
  }

  /** A directory that the options name comes first. */
  function restoredFrom(
    runtime: string,
    { options, checkpoint }: wire.CreateTaskRequest,
    call: Call,
  ): CreateTask["checkpoint"] {
    const directory = restorePath(runtime, options);
    return directory !== "" || checkpoint === undefined
      ? directory
      : checkpointUnpacker(dependencies, checkpoint, call);
  }

  return {
    async create(request, call) {
      const { stdin, stdout, stderr, terminal, runtimePath, options, containerId } = request;
      const { value: container } = await ledger.read((view) => view.containers.get(call.namespace(), containerId));
      const created = await manager.create(call.origin(), containerId, {
        rootfs: request.rootfs.map(mountOf),
        io: { stdin, stdout, stderr, terminal },
        options: options === undefined ? null : anyValue(options),
        runtimePath,
        // Of a container that is not there the manager tells.
        checkpoint: container === undefined ? "" : restoredFrom(container.runtime.name, request, call),
      });
      call.position = created.next;
      return { containerId, pid: created.pid };
    },

    async start({ containerId, execId }, call) {
      const { pid, next } = await manager.start(call.origin(), containerId, execId);
      call.position = next;
      return { pid };
    },

    async delete({ containerId }, call) {
      const { exit, next } = await manager.delete(call.origin(), containerId);
      call.position = next;
      return { id: "", pid: exit.pid, ...exitFields(exit) };
    },

    async deleteProcess({ containerId, execId }, call) {
      const { exit, next } = await manager.deleteProcess(call.origin(), containerId, execId);
      call.position = next;
      return { id: execId, pid: exit.pid, ...exitFields(exit) };
    },

    async get({ containerId, execId }, call) {
      const { row, next } = await manager.get(keyOf(call, containerId), execId);
      call.position = next;
      return { process: execId === "" ? initMessage(containerId, row) : execMessage(execId, row) };
    },

    /** The filter is ignored, as containerd does. */
    async list(_request, call) {
      const { tasks, next } = await manager.list(call.namespace());
      call.position = next;
      return { tasks: tasks.map(({ key, row }) => initMessage(key, row)) };
    },

    async kill({ containerId, execId, signal, all }, call) {
      call.position = (await manager.kill(call.origin(), containerId, { execId, signal, all })).next;
      return {};
    },

    async exec({ containerId, execId, stdin, stdout, stderr, terminal, spec }, call) {
      if (execId === "")
        throw new ShiplogError(ErrorClass.InvalidArgument, "exec id cannot be empty", {
          reason: "ExecWithoutId",
          whole: true,
        });
      await manager.get(keyOf(call, containerId), "");
      identifier(execId, `invalid exec id ${execId}`);
      const io = { stdin, stdout, stderr, terminal };
      const added = await manager.exec(call.origin(), containerId, {
        execId,
        io,
        spec: spec === undefined ? null : anyValue(spec),
      });
      call.position = added.next;
      return {};
    },

    async resizePty({ containerId, execId, width, height }, call) {
      await manager.resizePty(keyOf(call, containerId), execId, width, height);
      await setPosition(call);
      return {};
    },

    async closeIO({ containerId, execId, stdin }, call) {
      const key = keyOf(call, containerId);
      if (stdin) await manager.closeStdin(key, execId);
      else await manager.get(key, execId);
      await setPosition(call);
      return {};
    },

    async pause({ containerId }, call) {
      call.position = (await manager.pause(call.origin(), containerId)).next;
      return {};
    },

    async resume({ containerId }, call) {
      call.position = (await manager.resume(call.origin(), containerId)).next;
      return {};
    },

    async checkpoint({ containerId, options }, call) {
      const key = keyOf(call, containerId);
      await manager.get(key, "");
      const { runtime, spec } = ledger.view.containers.get(key.namespace, key.id)!;
      const taken = await manager.checkpoint(call.origin(), containerId, {
        ...checkpointOptions(runtime.name, options),
        options: options === undefined ? null : anyValue(options),
        store: (directory) => storeCheckpoint(dependencies, directory, spec!, call),
      });
      call.position = taken.next;
      return {
        descriptors: taken.content.map((each) => ({
          ...each,
          size: BigInt(each.size),
          annotations: { ...each.annotations },
        })),
      };
    },

    async update({ containerId, resources, annotations }, call) {
      const update = { resources: resources === undefined ? null : anyValue(resources), annotations };
      call.position = (await manager.update(call.origin(), containerId, update)).next;
      return {};
    },

    async listPids({ containerId }, call) {
      const processes = await manager.pids(keyOf(call, containerId));
      await setPosition(call);
      return { processes };
    },

    async metrics({ filters }, call) {
      const namespace = unmapped(() => call.namespace());
      const wanted = parseFilter(filters, "unmapped");
      const { value: tasks, next } = await ledger.read((view) => view.tasks.list(namespace));
      const fields = (id: string) => (path: readonly string[]) =>
        path[0] === "id" ? id : path[0] === "namespace" ? namespace : undefined;
      const metrics = await manager.metrics(
        namespace,
        tasks.map(({ key }) => key).filter((id) => wanted(fields(id))),
      );
      call.position = next;
      return {
        metrics: metrics.map(({ id, collectedAt, stats }) => ({
          id,
          timestamp: timestampFromUnixNano(collectedAt),
          data: stats,
        })),
      };
    },

    async wait({ containerId, execId }, call) {
      const { exit, next } = await manager.wait(keyOf(call, containerId), execId, call.signal);
      call.position = next;
      return exitFields(exit);
    },
  };
}

/** containerd forgets to give what fails here a class, as it does for the filters. */
function unmapped<T>(step: () => T): T {
  try {
    return step();
  } catch (error) {
    throw new ShiplogError(ErrorClass.Unknown, failureOf(error).message, { cause: error });
  }
}

function keyOf(call: Call, id: string): TaskKey {
  return { namespace: call.namespace(), id };
}

function mountOf({ type, source, target, options }: WireMount): Mount {
  return { type, source, target, options };
}

function exitFields({ status, exitedAt }: Exit) {
  return { exitStatus: status, exitedAt: timestampFromUnixNano(exitedAt) };
}

/** `containerId` stays empty: containerd leaves it so, also for execs. */
function initMessage(id: string, row: TaskState): Process {
  return processMessage(id, row, initStatus(row));
}

function execMessage(execId: string, row: TaskState): Process {
  const exec = row.execs[execId]!;
  return processMessage(execId, exec, execStatus(exec, row));
}

function processMessage(
  id: string,
  { pid, io, exit }: Pick<ExecState, "pid" | "io" | "exit">,
  status: TaskStatus,
): Process {
  return {
    containerId: "",
    id,
    pid,
    status,
    ...io,
    exitStatus: exit?.status ?? 0,
    exitedAt: timestampFromUnixNano(exit?.exitedAt),
  };
}

function initStatus(row: TaskState): TaskStatus {
  switch (row.status) {
    case "created":
    case "starting":
      return TaskStatus.CREATED;
    case "running":
      return TaskStatus.RUNNING;
    case "paused":
      return TaskStatus.PAUSED;
    case "stopped":
      return TaskStatus.STOPPED;
    case "deleting":
      return row.exit === null ? TaskStatus.CREATED : TaskStatus.STOPPED;
    case "absent":
    case "creating":
      return TaskStatus.UNKNOWN;
    default:
      return row.status satisfies never;
  }
}

/** A paused task's execs are paused with it. */
function execStatus({ status }: ExecState, row: TaskState): TaskStatus {
  if (status === "stopped") return TaskStatus.STOPPED;
  if (row.status === "paused") return TaskStatus.PAUSED;
  return status === "running" ? TaskStatus.RUNNING : TaskStatus.CREATED;
}
