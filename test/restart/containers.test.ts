/** Restarts as users of a real daemon see them, through `ctr`. */
import assert from "node:assert/strict";
import { appendFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect, type Connection } from "../../src/cli/client.ts";
import { decode, Fields } from "../../src/cli/render/fields.ts";
import { containers, introspection, log, TaskStatus, tasks } from "../../src/wire/mod.ts";
import { ctr } from "../harness/ctr.ts";
import { containerd, shiplogd, type TestDaemon } from "../harness/daemons.ts";
import { eventually } from "../harness/eventually.ts";
import { buildImage, imageName } from "../harness/image.ts";
import { removeRuncTraces } from "../harness/runc-traces.ts";
import { temporaryDirectory } from "../harness/temporary.ts";

const forever = ["sleep", "1000"];

/** A daemon with the image, and the few calls that these tests make; the same on shiplogd and containerd. */
class Ship {
  readonly daemon: TestDaemon;
  readonly namespace: string;
  #connection: Connection | undefined;

  constructor(daemon: TestDaemon) {
    this.daemon = daemon;
    this.namespace = `restart-${process.pid}-${daemon.name[0]}`;
  }

  async start(): Promise<void> {
    await this.daemon.start();
    this.#connection = connect(this.daemon.address);
  }

  async kill(): Promise<void> {
    this.#connection?.close();
    await this.daemon.end("SIGKILL");
  }

  async dispose(): Promise<void> {
    this.#connection?.close();
    await this.daemon.dispose();
    await removeRuncTraces(this.namespace);
  }

  get connection(): Connection {
    return this.#connection!;
  }

  async ctr(...args: string[]): Promise<void> {
    const { code, stderr } = await ctr(this.daemon.address, this.namespace, args);
    assert.equal(code, 0, `ctr ${args.join(" ")}: ${stderr}`);
  }

  /** Runs a container with labels by the ends of their names. */
  async run(id: string, args: readonly string[], labels: Readonly<Record<string, string>>): Promise<void> {
    const flags = Object.entries(labels).flatMap(([name, value]) => [
      "--label",
      `containerd.io/restart.${name}=${value}`,
    ]);
    await this.ctr("run", "-d", "--null-io", ...flags, imageName, id, ...args);
  }

  label(id: string, name: string, value: string): Promise<void> {
    return this.ctr("containers", "label", id, `containerd.io/restart.${name}=${value}`);
  }

  async kindly(id: string): Promise<void> {
    await this.ctr("tasks", "kill", "-s", "SIGKILL", id);
  }

  async task(id: string) {
    const listed = await this.connection.service(tasks.TasksDefinition, { namespace: this.namespace }).list({});
    return listed.tasks.find((task) => task.id === id);
  }

  /** Pid of the container's process once it runs as another one than `before`. */
  running(id: string, before: number): Promise<number> {
    return eventually(`${id} runs again`, async () => {
      const task = await this.task(id);
      return task?.status === TaskStatus.RUNNING && task.pid !== before ? task.pid : undefined;
    });
  }

  async pid(id: string): Promise<number> {
    return (await this.task(id))!.pid;
  }

  async count(id: string): Promise<string | undefined> {
    const service = this.connection.service(containers.ContainersDefinition, { namespace: this.namespace });
    return (await service.get({ id })).container!.labels["containerd.io/restart.count"];
  }

  async facts(stream: string) {
    const answers = this.connection.service(log.LogDefinition).read({ namespace: this.namespace, stream });
    return (await Array.fromAsync(answers)).flatMap(({ facts }) => facts);
  }
}

describe("the restart monitor", () => {
  let ship: Ship;
  let archive: string;
  let directory: string;
  const ends: (() => Promise<void>)[] = [];

  before(async () => {
    directory = await temporaryDirectory({ after: (end) => ends.push(end) });
    ({ archive } = await buildImage(directory));
    ship = new Ship(await shiplogd());
    await ship.start();
    await ship.ctr("images", "import", archive);
  });
  after(async () => {
    await ship.dispose();
    for (const end of ends) await end();
  });

  test("restarts on failure as often as the policy says, later each time, and its facts say why", async () => {
    const output = join(directory, "output");
    const labels = { status: "running", policy: "on-failure:3", loguri: `file://${output}` };
    await ship.run("failing", ["sh", "-c", "echo again; exit 3"], labels);
    const facts = await eventually("four runs end", async () => {
      const facts = await ship.facts("task/failing");
      return facts.filter(({ type }) => type === "TaskExited").length === 4 ? facts : undefined;
    });
    assert.equal(await ship.count("failing"), "3");
    assert.equal(await readFile(output, "utf8"), "again\n".repeat(3), "the first run's output was the client's");
    const times = (type: string) => facts.filter((fact) => fact.type === type).map((fact) => fact.timeUnixNano);
    const exits = times("TaskExited");
    const waits = times("TaskCreating")
      .slice(1)
      .map((start, index) => Number(start - exits[index]!) / 1e6);
    // A timer may be early by a millisecond, and the shim's time of the exit is before the fact's.
    for (const [index, least] of [100, 200, 400].entries())
      assert.ok(waits[index]! > least * 0.9, `restart ${index + 1} waited ${waits[index]} ms of at least ${least}`);

    const counted = (await ship.facts("container/failing")).filter(({ type }) => type === "ContainerUpdated");
    const exitPositions = facts.filter(({ type }) => type === "TaskExited").map(({ position }) => position);
    assert.deepEqual(
      counted.map(({ cause, principal }) => [cause, principal!.client]),
      exitPositions.slice(0, 3).map((position) => [position, "restart-monitor"]),
    );
    const intents = facts.filter(({ type }) => type === "TaskDeleting" || type === "TaskCreating");
    assert.deepEqual(
      intents.slice(1).map(({ cause }) => cause),
      exitPositions.slice(0, 3).flatMap((position) => [position, position]),
    );
  });

  test("restarts always, also what ended while the daemon was down, and leaves alone what runs on", async () => {
    await ship.run("kept", forever, { status: "running" });
    await ship.run("beside", forever, { status: "running", policy: "always" });
    const [first, beside] = [await ship.pid("kept"), await ship.pid("beside")];
    await ship.kindly("kept");
    const second = await ship.running("kept", first);
    assert.equal(await ship.count("kept"), "1");
    await ship.kill();
    process.kill(second, "SIGKILL");
    await ship.start();
    await ship.running("kept", second);
    assert.equal(await ship.count("kept"), "2");
    const restart = (await ship.facts("task/kept")).filter(({ type }) => type === "TaskCreating").at(-1)!;
    const exit = (await ship.facts("task/kept")).filter(({ type }) => type === "TaskExited").at(-1)!;
    assert.equal(restart.cause, exit.position);
    assert.equal(await ship.pid("beside"), beside);
  });

  test("leaves alone what was stopped on purpose, across a restart of the daemon too", async () => {
    await ship.run("stopped", forever, { status: "running", policy: "unless-stopped" });
    await ship.run("unless", forever, { status: "running", policy: "unless-stopped" });
    const unless = await ship.pid("unless");
    await ship.label("stopped", "explicitly-stopped", "true");
    await ship.kindly("stopped");
    // Whose exit comes later and has to wait as long: had the other one been restarted, it would have been before.
    await ship.kindly("unless");
    const again = await ship.running("unless", unless);
    assert.equal((await ship.task("stopped"))!.status, TaskStatus.STOPPED);
    await ship.kill();
    process.kill(again, "SIGKILL");
    await ship.start();
    await ship.running("unless", again);
    assert.equal((await ship.task("stopped"))!.status, TaskStatus.STOPPED);
    assert.equal(await ship.count("stopped"), undefined);
  });

  test("stops and deletes the task of a container that is to be stopped", async () => {
    await ship.run("halted", forever, { status: "running" });
    await ship.label("halted", "status", "stopped");
    const facts = await eventually("the task is deleted", async () => {
      const facts = await ship.facts("task/halted");
      return facts.at(-1)!.type === "TaskDeleted" ? facts : undefined;
    });
    assert.equal(new Fields(decode(facts.at(-1)!.data)).number("status"), 137);
    const labelled = (await ship.facts("container/halted")).at(-1)!;
    const signalling = facts.find(({ type }) => type === "TaskSignalling")!;
    assert.deepEqual([signalling.cause, signalling.principal!.client], [labelled.position, "restart-monitor"]);
    assert.equal(await ship.task("halted"), undefined);
  });

  test("tells its policies where nerdctl looks for them", async () => {
    const { plugins } = await ship.connection
      .service(introspection.IntrospectionDefinition)
      .plugins({ filters: ["id==restart"] });
    assert.deepEqual(
      plugins.map(({ capabilities }) => capabilities),
      [["no", "always", "on-failure", "unless-stopped"]],
    );
  });

  test("restarts what containerd restarts, and stops what it stops", async (t) => {
    const reference = new Ship(await containerd());
    t.after(() => reference.dispose());
    // Ten seconds without this.
    const config = '[plugins."io.containerd.internal.v1.restart"]\ninterval = "1s"\n';
    await appendFile(join(reference.daemon.paths.directory, "config.toml"), config);
    await reference.start();
    await reference.ctr("images", "import", archive);
    const seen = async (side: Ship) => {
      await side.run("both", forever, { status: "running" });
      const pid = await side.pid("both");
      await side.kindly("both");
      await side.running("both", pid);
      await side.label("both", "status", "stopped");
      await eventually("its task goes", async () => ((await side.task("both")) === undefined ? true : undefined));
      await side.ctr("containers", "rm", "both");
    };
    await Promise.all([seen(ship), seen(reference)]);
  });
});
