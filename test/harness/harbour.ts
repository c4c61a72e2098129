/** A real shiplogd with an image, for tests of what can be done with the snapshots of running containers. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { connect, type Connection } from "../../src/cli/client.ts";
import { decode, Fields } from "../../src/cli/render/fields.ts";
import { log, shiplogSnapshots, snapshots, TaskStatus, tasks } from "../../src/wire/mod.ts";
import { ctr } from "./ctr.ts";
import { type DaemonPaths, shiplogd, shiplogdWithoutCollection, type TestDaemon } from "./daemons.ts";
import { eventually } from "./eventually.ts";
import { buildImage, imageName } from "./image.ts";
import { removeRuncTraces } from "./runc-traces.ts";
import { temporaryDirectory } from "./temporary.ts";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

const shiplogProgram = fileURLToPath(new URL("../../bin/shiplog", import.meta.url));

export interface Program {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Harbour {
  readonly daemon: TestDaemon;
  readonly namespace: string;
  readonly archive: string;
  readonly #ends: (() => Promise<void>)[];
  #connection: Connection | undefined;

  private constructor(daemon: TestDaemon, namespace: string, archive: string, ends: (() => Promise<void>)[]) {
    this.daemon = daemon;
    this.namespace = namespace;
    this.archive = archive;
    this.#ends = ends;
  }

  /** Started, with the image unpacked on the snapshotter. `configuration` is more TOML for a daemon that collects only when asked. */
  static async open(
    name: string,
    options: {
      readonly configuration?: string;
      readonly snapshotter?: string;
      /** Done before the daemon starts. */
      readonly prepare?: (paths: DaemonPaths) => Promise<void>;
    } = {},
  ): Promise<Harbour> {
    const ends: (() => Promise<void>)[] = [];
    const directory = await temporaryDirectory({ after: (end) => ends.push(end) });
    const { archive } = await buildImage(directory);
    const daemon =
      options.configuration === undefined ? await shiplogd() : await shiplogdWithoutCollection(options.configuration);
    const harbour = new Harbour(daemon, `${name}-${process.pid}`, archive, ends);
    try {
      await options.prepare?.(daemon.paths);
      await harbour.start();
      await harbour.ctr("images", "import", "--snapshotter", options.snapshotter ?? "overlayfs", archive);
      return harbour;
    } catch (error) {
      await harbour.dispose();
      throw error;
    }
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
    for (const end of this.#ends) await end();
  }

  get connection(): Connection {
    return this.#connection!;
  }

  get pictures() {
    return this.connection.service(shiplogSnapshots.SnapshotsDefinition, { namespace: this.namespace });
  }

  get snapshots() {
    return this.connection.service(snapshots.SnapshotsDefinition, { namespace: this.namespace });
  }

  /** @throws when it does not end well */
  async ctr(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await ctr(this.daemon.address, this.namespace, args);
    assert.equal(code, 0, `ctr ${args.join(" ")}: ${stderr}`);
    return stdout;
  }

  /** Runs `shiplog`, whatever it ends with. */
  shiplog(...args: string[]): Promise<Program> {
    const env = {
      PATH: process.env.PATH,
      CONTAINERD_ADDRESS: this.daemon.address,
      CONTAINERD_NAMESPACE: this.namespace,
    };
    return new Promise((resolve) => {
      execFile(shiplogProgram, args, { env, timeout: 60_000 }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : -1, stdout, stderr });
      });
    });
  }

  /** A container that runs a shell script in the background, its root a snapshot of its own name. */
  run(id: string, script: string, ...flags: string[]): Promise<string> {
    return this.ctr("run", "-d", "--null-io", ...flags, imageName, id, "sh", "-c", script);
  }

  /** The output of a command in a running container. */
  exec(id: string, ...args: string[]): Promise<string> {
    return this.ctr("tasks", "exec", "--exec-id", `e${process.hrtime.bigint()}`, id, ...args);
  }

  async remove(id: string): Promise<void> {
    await ctr(this.daemon.address, this.namespace, ["tasks", "kill", "-s", "SIGKILL", id]);
    await eventually(`${id} has ended`, async () =>
      (await this.status(id)) === TaskStatus.RUNNING ? undefined : true,
    );
    await ctr(this.daemon.address, this.namespace, ["tasks", "rm", id]);
    await this.ctr("containers", "rm", id);
  }

  async status(id: string): Promise<TaskStatus | undefined> {
    const { tasks: listed } = await this.connection
      .service(tasks.TasksDefinition, { namespace: this.namespace })
      .list({});
    return listed.find((task) => task.id === id)?.status;
  }

  /** Facts of a stream, with their payloads. */
  async facts(
    stream: string,
  ): Promise<
    { readonly type: string; readonly data: Fields; readonly cause: bigint | undefined; readonly position: bigint }[]
  > {
    const answers = this.connection.service(log.LogDefinition).read({ namespace: this.namespace, stream });
    const found = (await Array.fromAsync(answers)).flatMap(({ facts }) => facts);
    return found.map(({ type, data, cause, position }) => ({ type, data: new Fields(decode(data)), cause, position }));
  }

  /** Whether the tables and the machine agree: fsck finds nothing. */
  async isSound(): Promise<void> {
    const { code, stdout } = await this.shiplog("fsck");
    assert.equal(code, 0, stdout);
  }

  log(): Promise<string> {
    return readFile(`${this.daemon.paths.directory}/daemon.log`, "utf8");
  }
}
