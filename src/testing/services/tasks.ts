/**
 * What runs: tasks of containers and processes beside them, each of which sleeps until it is killed. A kill waits for the exit, so that
 * what comes after it finds a process that has ended. Sources: services/tasks/local.go, runtime/v2/runc.
 */
import fc from "fast-check";
import type { Exit } from "../../events/catalogue.ts";
import { type ExecState, execOf, type TaskCommand, type TaskState } from "../../machines/mod.ts";
import { tasks } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { statusSeen } from "../picture.ts";
import { answers, inTurn, moves, type Prediction, refuses } from "../prediction.ts";
import type { Caller } from "../remote/caller.ts";
import { isMissing, processSpec } from "../spec.ts";
import { statusName } from "../status-name.ts";
import type { World } from "../world.ts";
import { program, runtime } from "./containers.ts";

const definition = tasks.TasksDefinition;

const id = fc.constantFrom("x", "x", "x", "y");
const exec = fc.constantFrom("", "", "e0", "e1");
const someExec = fc.constantFrom("e0", "e1");

const SIGKILL = 9;
const noIo = { stdin: "", stdout: "", stderr: "", terminal: false };
/** What the deciders are told of, and nobody compares: the runtime chooses it. */
const pid = 1;
const shim = { address: "shim", version: 2 };
const killed: Exit = { pid, status: 128 + SIGKILL, exitedAt: 1n, known: true };

/** A limit that none of the processes comes near. */
const resources = {
  typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources",
  value: Buffer.from(JSON.stringify({ pids: { limit: 1000 } })),
};

interface Named {
  readonly id: string;
  /** Empty for the task's own process. */
  readonly exec: string;
}

const steps = (id: string, commands: readonly TaskCommand[]) =>
  commands.map((command) => ({ kind: "task", key: id, command }) as const);

/** The task, for a container that is there. */
const taskOf = (world: World, id: string): TaskState | undefined =>
  world.row("container", id) === undefined ? undefined : world.row("task", id);

/** What is asked first, and what the runtime then does. */
function asks(world: World, id: string, asked: TaskCommand, done: readonly TaskCommand[], value?: unknown): Prediction {
  if (taskOf(world, id) === undefined) return refuses(world, "NotFound");
  return inTurn(moves(world, steps(id, [asked])), (after) => moves(after, steps(id, done), value));
}

/** The processes beside the task's own that end with it. */
const execExits = ({ execs }: TaskState): readonly TaskCommand[] =>
  Object.entries(execs)
    .filter(([, { status }]) => status === "running")
    .map(([execId]) => ({ type: "RecordExecExited", execId, exit: killed }));

const statusOfExec = ({ status }: ExecState, task: TaskState): string => {
  if (status === "stopped") return status;
  if (task.status === "paused") return "paused";
  return status === "running" ? "running" : "created";
};

const processOf = ({ id, exec }: Named) => ({ containerId: id, execId: exec });

/** That of what never ran is told as 0 by some runtimes, as 255 by others. */
const exitValue = (exit: Exit | null | undefined) => (exit?.known ? { exitStatus: exit.status } : undefined);

export const taskCommands = [
  command("tasks create ID", {
    weight: 2,
    changes: ["tasks"],
    with: { id },
    predict(world, { id }) {
      if (world.row("container", id) === undefined) return refuses(world, "NotFound");
      const described = { bundle: "", runtime, rootfs: [], io: noIo, options: null, checkpoint: "" };
      const fails = isMissing(world.row("container", id)!.spec);
      const done = fails
        ? ({ type: "RecordCreateFailed", message: "no such program" } as const)
        : ({ type: "RecordCreated", pid, shim } as const);
      const created = moves(world, steps(id, [{ type: "CreateTask", id, ...described }, done]));
      return fails && created.answer.code === "OK" ? { ...created, answer: { code: "Unknown" } } : created;
    },
    async call(caller, { id: containerId }) {
      const rootfs = [{ type: "bind", source: caller.rootfs!, options: ["rbind", "ro"] }];
      await caller.ask(definition, "create", { containerId, rootfs });
    },
  }),

  command("tasks exec --exec-id EXEC [--program PROGRAM] ID", {
    weight: 2,
    with: { exec: someExec, program, id },
    predict: (world, { exec: execId, program, id }) =>
      asks(world, id, { type: "AddExec", id, execId, io: noIo, spec: processSpec(program) }, []),
    async call(caller, { program, ...named }) {
      await caller.ask(definition, "exec", { ...processOf(named), spec: processSpec(program) });
    },
  }),

  command("tasks start [--exec-id EXEC] ID", {
    weight: 4,
    changes: ["tasks"],
    with: { exec, id },
    predict(world, { exec: execId, id }) {
      if (execId === "") return asks(world, id, { type: "StartTask", id }, [{ type: "RecordStarted", pid }]);
      // runc's words for it are told as they are then, and the process is left as one that failed.
      if (world.dialect.startsInStoppedTask && taskOf(world, id)?.status === "stopped") return undefined;
      const task = taskOf(world, id);
      const fails = isMissing((task && execOf(task, execId)?.spec) ?? null);
      const done = fails
        ? ({ type: "RecordExecStartFailed", execId, message: "no such program" } as const)
        : ({ type: "RecordExecStarted", execId, pid } as const);
      const started = asks(world, id, { type: "StartExec", id, execId }, [done]);
      return fails && started.answer.code === "OK" ? { ...started, answer: { code: "Unknown" } } : started;
    },
    call: async (caller, named) => void (await caller.ask(definition, "start", processOf(named))),
  }),

  command("tasks kill [--exec-id EXEC] ID", {
    weight: 2,
    changes: ["tasks"],
    with: { exec, id },
    predict(world, { exec: execId, id }) {
      const task = taskOf(world, id);
      // Whether what is frozen can be killed is the kernel's to say.
      if (task?.status === "paused") return undefined;
      const signal = { execId, signal: SIGKILL, all: false };
      const exits: readonly TaskCommand[] =
        task === undefined || execId !== ""
          ? [{ type: "RecordExecExited", execId, exit: killed }]
          : [...execExits(task), { type: "RecordExited", exit: killed }];
      return asks(
        world,
        id,
        { type: "SignalTask", id, ...signal },
        [{ type: "RecordSignalled", ...signal }, ...exits],
        exitValue(killed),
      );
    },
    async call(caller, named) {
      await caller.ask(definition, "kill", { ...processOf(named), signal: SIGKILL });
      const { exitStatus } = await caller.ask(definition, "wait", processOf(named));
      return { exitStatus };
    },
  }),

  command("tasks pause ID", {
    changes: ["tasks"],
    with: { id },
    predict: (world, { id }) => changesPace(world, id, "running", { type: "RecordPaused" }),
    call: async (caller, { id: containerId }) => void (await caller.ask(definition, "pause", { containerId })),
  }),

  command("tasks resume ID", {
    changes: ["tasks"],
    with: { id },
    predict: (world, { id }) => changesPace(world, id, "paused", { type: "RecordResumed" }),
    call: async (caller, { id: containerId }) => void (await caller.ask(definition, "resume", { containerId })),
  }),

  command("tasks delete [--exec-id EXEC] ID", {
    weight: 2,
    changes: ["tasks"],
    with: { exec, id },
    predict(world, { exec: execId, id }) {
      const task = taskOf(world, id);
      if (task === undefined) return refuses(world, "NotFound");
      if (execId !== "") {
        const exit = execOf(task, execId)?.exit;
        const check = { type: "CheckExecDeletable", id, execId } as const;
        return asks(world, id, check, [{ type: "RecordExecDeleted", execId, exit: exit ?? killed }], exitValue(exit));
      }
      // Processes beside one that never ran end with it, in no order that anybody promises.
      if (task.status === "created" && execExits(task).length > 0) return undefined;
      const recorded = { type: "RecordDeleted", exit: task.exit ?? killed } as const;
      return asks(world, id, { type: "DeleteTask", id }, [recorded], exitValue(task.exit));
    },
    async call(caller, { exec: execId, id: containerId }) {
      const { exitStatus } =
        execId === ""
          ? await caller.ask(definition, "delete", { containerId })
          : await caller.ask(definition, "deleteProcess", { containerId, execId });
      return { exitStatus };
    },
  }),

  command("tasks update ID", {
    with: { id },
    predict(world, { id }) {
      const task = taskOf(world, id);
      if (task === undefined) return refuses(world, "NotFound");
      if (task.status === "stopped") return refuses(world, "Unknown");
      return moves(world, steps(id, [{ type: "RecordUpdated", resources, annotations: {} }]));
    },
    call: async (caller, { id: containerId }) =>
      void (await caller.ask(definition, "update", { containerId, resources })),
  }),

  command("tasks info [--exec-id EXEC] ID", {
    with: { exec, id },
    predict(world, { exec: execId, id }) {
      const task = taskOf(world, id);
      const process = task && (execId === "" ? task : execOf(task, execId));
      // One that could not be started has ended in some runtimes, and is as it was in others.
      if (process?.exit?.known === false) return undefined;
      if (task === undefined || process === undefined) return refuses(world, "NotFound");
      const status = execId === "" ? statusSeen(task) : statusOfExec(process as ExecState, task);
      return answers(world, { id: execId || id, status, exitStatus: process.exit?.status ?? 0 });
    },
    call: (caller, named) => infoOf(caller, named),
  }),
];

/** The shim does it in one state alone. */
function changesPace(world: World, id: string, from: string, done: TaskCommand): Prediction {
  const task = taskOf(world, id);
  if (task === undefined) return refuses(world, "NotFound");
  return task.status === from ? moves(world, steps(id, [done])) : refuses(world, "Unknown");
}

async function infoOf(caller: Caller, named: Named): Promise<unknown> {
  const { process } = await caller.ask(definition, "get", processOf(named));
  return { id: process!.id, status: statusName(process!.status), exitStatus: process!.exitStatus };
}
