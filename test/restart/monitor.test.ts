/** The monitor on a real ledger and task manager, where a test can come between its steps. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { ShiplogError } from "../../src/error.ts";
import type { StatedFact } from "../../src/events/catalogue.ts";
import type { Fact } from "../../src/events/fact.ts";
import type { ContainerCommand, TaskCommand } from "../../src/machines/mod.ts";
import { randomIds, systemClock } from "../../src/platform/mod.ts";
import type { Hands } from "../../src/restart/attempt.ts";
import { attemptsMax, monitorClient, RestartMonitor } from "../../src/restart/monitor.ts";
import { eventually } from "../harness/eventually.ts";
import { TaskDaemon } from "../tasks/task-daemon.ts";
import { logger, noIo, type SpecOptions, specOf } from "../tasks/workshop.ts";

/** Waits that a test can outlast, and come before when it has to. */
const timing = { firstMs: 500, waitMsMax: 2_000, healthyMs: 10_000, clientMs: 700 };

const forever = ["sleep", "1000"];

describe("the monitor", () => {
  let daemon: TaskDaemon;
  let monitor: RestartMonitor | undefined;
  before(async () => {
    daemon = await TaskDaemon.open();
  });
  afterEach(async () => {
    await monitor?.stop();
    for (const { key } of daemon.ledger.view.containers.list(daemon.namespace)) await remove(key);
  });
  after(() => daemon.remove());

  /** Starts it as a daemon does, with some of the task manager's operations replaced. */
  async function start(tasks: Partial<Hands["tasks"]> = {}, times: Partial<typeof timing> = {}): Promise<void> {
    const { manager, ledger, tables, log, workshop } = daemon;
    monitor = new RestartMonitor({
      ledger,
      tasks: {
        create: (...args) => manager.create(...args),
        start: (...args) => manager.start(...args),
        kill: (...args) => manager.kill(...args),
        wait: (...args) => manager.wait(...args),
        delete: (...args) => manager.delete(...args),
        ...tasks,
      },
      rootfsOf: () => workshop.rootfs,
      history: {
        versions: (namespace, id) => tables.versions("task", namespace, id),
        fact: (position) => log.get(position),
      },
      clock: systemClock,
      ids: randomIds,
      logger,
      timing: { ...timing, ...times },
    });
    await monitor.start();
  }

  const change = (id: string, command: ContainerCommand) =>
    daemon.ledger.transact(daemon.origin, () => [{ kind: "container", key: id, command }]);

  const label = (id: string, labels: Readonly<Record<string, string>>) =>
    change(id, { type: "UpdateContainer", id, labels: restartLabels(labels) });

  async function container(
    id: string,
    args: readonly string[],
    labels: Readonly<Record<string, string>>,
    options: SpecOptions & { readonly runtime?: string } = {},
  ): Promise<void> {
    await change(id, {
      type: "CreateContainer",
      id,
      labels: restartLabels(labels),
      image: "",
      runtime: { name: options.runtime ?? "io.containerd.runc.v2", options: null },
      spec: specOf({ namespace: daemon.namespace, id }, args, options),
      snapshotter: "",
      snapshotKey: "",
      extensions: {},
      sandbox: "",
    });
  }

  async function remove(id: string): Promise<void> {
    const { manager, origin } = daemon;
    await manager.kill(origin, id, { execId: "", signal: 9, all: true }).catch(() => {});
    await manager.wait({ namespace: daemon.namespace, id }, "", AbortSignal.timeout(5_000)).catch(() => {});
    await manager.delete(origin, id).catch(() => {});
    await change(id, { type: "DeleteContainer", id });
  }

  async function run(id: string): Promise<void> {
    await daemon.create(id);
    await daemon.manager.start(daemon.origin, id, "");
  }

  const running = (id: string) =>
    eventually(`${id} runs`, () => (daemon.task(id)?.status === "running" ? true : undefined));

  /** Every fact of the container and its task so far. */
  async function facts(id: string): Promise<readonly (Fact & StatedFact)[]> {
    const { next } = await daemon.ledger.read(() => undefined);
    const read = (await Array.fromAsync(daemon.log.read({ from: 0, to: next }))).flat();
    return read.filter(
      ({ namespace, stream }) => namespace === daemon.namespace && stream.endsWith(`/${id}`),
    ) as (Fact & StatedFact)[];
  }

  const ofMonitor = async (id: string) =>
    (await facts(id)).filter(({ principal }) => principal.client === monitorClient).map(({ type }) => type);

  test("does nothing for a container that is removed while its restart waits", async () => {
    await start();
    await container("removed", ["true"], { status: "running" });
    await run("removed");
    await daemon.wait("removed");
    await daemon.manager.delete(daemon.origin, "removed");
    await change("removed", { type: "DeleteContainer", id: "removed" });
    await container("kept", ["true"], { status: "running" });
    await run("kept");
    // It ended later and has to wait as long.
    await eventually("the other one is restarted", async () =>
      (await ofMonitor("kept")).includes("TaskStarted") ? true : undefined,
    );
    assert.deepEqual(await ofMonitor("removed"), []);
  });

  test("leaves a client that asks for a running container the time to start it, and starts what nobody does", async () => {
    await start({}, { clientMs: 1_500 });
    await container("theirs", forever, { status: "created" });
    await container("nobodys", forever, { status: "created" });
    await label("theirs", { status: "running" });
    const asked = systemClock.now();
    await label("nobodys", { status: "running" });
    await daemon.create("theirs");
    await daemon.manager.start(daemon.origin, "theirs", "");
    await running("nobodys");
    assert.deepEqual(await ofMonitor("theirs"), []);
    const [counted] = (await facts("nobodys")).filter(({ principal }) => principal.client === monitorClient);
    assert.ok(counted!.time - asked >= 1_400_000_000n, "not before the client's time is over");
  });

  test("goes on with a restart that a crash cut short after the old task was deleted", async () => {
    await container("cut", forever, { status: "running", policy: "on-failure:3", count: "1" });
    await container("theirs", forever, { status: "running", policy: "on-failure:3" });
    const exit = { pid: 7, status: 3, exitedAt: systemClock.now(), known: true };
    const life: TaskCommand[] = [
      { type: "CreateTask", id: "", bundle: "", runtime: "r", rootfs: [], io: noIo, options: null, checkpoint: "" },
      { type: "RecordCreated", pid: 7, shim: { address: "unix:///s", version: 2 } },
      { type: "StartTask", id: "" },
      { type: "RecordStarted", pid: 7 },
      { type: "RecordExited", exit },
    ];
    const deletion: TaskCommand[] = [
      { type: "DeleteTask", id: "" },
      { type: "RecordDeleted", exit },
    ];
    const principal = { ...daemon.origin.principal, client: monitorClient };
    const steps = (key: string, commands: readonly TaskCommand[]) => () =>
      commands.map((command) => ({ kind: "task", key, command }) as const);
    for (const id of ["cut", "theirs"]) await daemon.ledger.transact(daemon.origin, steps(id, life));
    await daemon.ledger.transact({ ...daemon.origin, principal }, steps("cut", deletion));
    await daemon.ledger.transact(daemon.origin, steps("theirs", deletion));
    const [exited] = (await facts("cut")).filter(({ type }) => type === "TaskExited");
    await start();
    await running("cut");
    const [counted] = (await facts("cut")).filter(({ type }) => type === "ContainerUpdated");
    assert.equal(counted!.cause, exited!.position);
    assert.equal(
      daemon.ledger.view.containers.get(daemon.namespace, "cut")!.labels["containerd.io/restart.count"],
      "2",
    );
    assert.deepEqual(await ofMonitor("theirs"), [], "as containerd: whose task a client deleted did not fail");
  });

  test("does not start what was stopped on purpose while its task was being made", async () => {
    const policy = { status: "running", policy: "unless-stopped" };
    await container("late", forever, policy);
    let begun = 0;
    await start({
      create: async (...args) => {
        begun += 1;
        const created = await daemon.manager.create(...args);
        await label("late", { ...policy, "explicitly-stopped": "true" });
        return created;
      },
    });
    await eventually("the task is deleted again", async () =>
      (await facts("late")).at(-1)!.type === "TaskDeleted" ? true : undefined,
    );
    const types = (await facts("late")).map(({ type }) => type);
    assert.ok(!types.includes("TaskStarting"), types.join(" "));
    assert.equal(begun, 1);
  });

  test("makes a bounded number of attempts at once, one for a container, and later each time when they fail", async () => {
    const ids = Array.from({ length: attemptsMax + 4 }, (_, index) => `none${index}`);
    for (const id of ids) await container(id, forever, { status: "running" }, { runtime: "io.containerd.none.v1" });
    const underWay = new Set<string>();
    let most = 0;
    const tries = new Map<string, number[]>();
    await start(
      {
        create: async (origin, id, request) => {
          assert.ok(!underWay.has(id));
          underWay.add(id);
          most = Math.max(most, underWay.size);
          tries.set(id, [...(tries.get(id) ?? []), performance.now()]);
          try {
            return await daemon.manager.create(origin, id, request);
          } finally {
            underWay.delete(id);
          }
        },
      },
      { firstMs: 50 },
    );
    await eventually("three attempts for each", () =>
      ids.every((id) => (tries.get(id)?.length ?? 0) >= 3) ? true : undefined,
    );
    await monitor!.stop();
    assert.ok(most > 1 && most <= attemptsMax, `${most} at once`);
    for (const times of tries.values()) {
      const waits = times.slice(1).map((time, index) => time - times[index]!);
      assert.ok(waits[0]! >= 95 && waits[1]! >= 195, `waited ${waits.join(", ")} ms`);
    }
    const failed = (await facts("none0")).filter(({ type }) => type === "TaskCreateFailed").length;
    const { labels } = daemon.ledger.view.containers.get(daemon.namespace, "none0")!;
    assert.equal(labels["containerd.io/restart.count"], String(failed));
  });

  test("gives up a task that can be created and not started, and tries again", async () => {
    await container("unstarted", forever, { status: "running" });
    let refusals = 1;
    await start(
      {
        start: async (...args) => {
          refusals -= 1;
          if (refusals >= 0) throw new ShiplogError("Unavailable", "refused by the test");
          return daemon.manager.start(...args);
        },
      },
      { firstMs: 10 },
    );
    await running("unstarted");
    const types = (await facts("unstarted")).map(({ type }) => type);
    assert.deepEqual(
      types.filter((type) => /^Task(Creating|Deleted|Started)$/.test(type)),
      ["TaskCreating", "TaskDeleted", "TaskCreating", "TaskStarted"],
    );
  });
});

const restartLabels = (short: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(short).map(([name, value]) => [`containerd.io/restart.${name}`, value]));
