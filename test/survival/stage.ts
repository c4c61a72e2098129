/**
 * Where these tests take place: a shiplogd with a grouping of its own, a root filesystem that containers share, and a directory that they
 * all see as /out, by which their programs tell what they did.
 *
 * Owns the daemon, and what of it is on the machine: `leftovers` names it, `close` removes it whatever a failed test left.
 */
import assert from "node:assert/strict";
import { access, chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { unpack } from "msgpackr";
import { connect, type Connection } from "../../src/cli/client.ts";
import { addressOfShim, type Grouping, groupOf } from "../../src/shim/program/address.ts";
import { socketPathOfAddress } from "../../src/shim/ttrpc/mod.ts";
import { collection, containers, log, tasks } from "../../src/wire/mod.ts";
import { shiplogd, type TestDaemon } from "../harness/daemons.ts";
import { eventually } from "../harness/eventually.ts";
import { removeRuncTraces, runcTraces } from "../harness/runc-traces.ts";
import { runtimeSpec } from "../harness/spec.ts";
import { mountsBelow, shimsOf } from "../harness/traces.ts";
import { inspectable } from "./inspector.ts";
import { containerProcesses, isRunning, killIfThere, sparesOf, thawContainers } from "./processes.ts";

const applets = ["sh", "echo", "sleep", "seq", "cat", "true"];

/** A file to which a failed test adds what there is to be looked into. */
const evidence = process.env.SHIPLOG_SURVIVAL_EVIDENCE;

/** How long what is ending may take to be gone. A shim that was started for a container which never came waits for it for a minute. */
const GONE_MS_MAX = 90_000;

export interface StagedFact {
  readonly position: number;
  readonly stream: string;
  readonly type: string;
  // biome-ignore lint/suspicious/noExplicitAny: payloads are looked into by name
  readonly data: any;
}

export interface StageOptions {
  readonly grouping: Grouping;
  /** Warm shims; as many as by default when nothing is said. */
  readonly spares?: number;
  /** The daemon's heap can be looked at. */
  readonly inspected?: boolean;
}

export class Stage {
  readonly namespace: string;
  readonly directory: string;
  readonly #grouping: Grouping;
  /** Where shims of the stage may listen. */
  readonly #sockets = new Set<string>();
  daemon: TestDaemon;
  #connection: Connection | undefined;

  /** A stage whose daemon serves. */
  static async open(t: TestContext, options: StageOptions): Promise<Stage> {
    const directory = await mkdtemp(join(tmpdir(), "shiplog-survival-"));
    const stage = new Stage(
      directory,
      await shiplogd(["--log-level", evidence === undefined ? "warn" : "debug"]),
      options.grouping,
    );
    t.after(async () => {
      if (evidence !== undefined && !t.passed) await stage.#keep(evidence);
      await stage.#close();
    });
    await stage.#furnish(options.spares);
    if (options.inspected === true) stage.daemon = stage.daemon.withEnvironment(inspectable);
    await stage.start();
    return stage;
  }

  private constructor(directory: string, daemon: TestDaemon, grouping: Grouping) {
    this.#grouping = grouping;
    this.directory = directory;
    // Of this stage alone: runc keeps the states of all daemons in one place, by namespace.
    this.namespace = `survival-${directory.slice(-6).toLowerCase()}`;
    this.daemon = daemon;
  }

  async #furnish(spares: number | undefined): Promise<void> {
    for (const name of ["bin", "dev", "proc", "out"]) await mkdir(join(this.#rootfs, name), { recursive: true });
    await mkdir(this.path());
    await copyFile("/bin/busybox", join(this.#rootfs, "bin", "busybox"));
    await chmod(join(this.#rootfs, "bin", "busybox"), 0o755);
    for (const applet of applets) await symlink("busybox", join(this.#rootfs, "bin", applet));
    const config = join(this.daemon.paths.directory, "config.toml");
    const settings = [`grouping = "${this.#grouping}"`, ...(spares === undefined ? [] : [`spares = ${spares}`])];
    await writeFile(config, ["[shim]", ...settings, ""].join("\n"));
    this.daemon = this.daemon.with(["--config", config]);
  }

  get #rootfs(): string {
    return join(this.directory, "rootfs");
  }

  /** Of a file, or of the whole directory, that containers see below /out. */
  path(name = ""): string {
    return join(this.directory, "out", name);
  }

  /** What the file holds; undefined when there is none. */
  read(name: string): Promise<string | undefined> {
    return readFile(this.path(name), "utf8").catch(() => undefined);
  }

  async write(name: string): Promise<void> {
    await writeFile(this.path(name), "");
  }

  async has(name: string): Promise<boolean> {
    return access(this.path(name)).then(
      () => true,
      () => false,
    );
  }

  async start(): Promise<void> {
    await this.daemon.start();
    this.#connection = connect(this.daemon.address);
  }

  /** Ends the daemon as a crash does; its spares end with it. */
  async kill(): Promise<void> {
    const spares = await sparesOf(this.daemon.pid);
    this.#connection?.close();
    this.#connection = undefined;
    await this.daemon.end("SIGKILL");
    for (const pid of spares)
      await eventually(`spare ${pid} ends with its daemon, or is a shim`, async () =>
        (await isRunning(pid)) && (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).includes("\0spare")
          ? undefined
          : true,
      );
  }

  /** The services as the daemon that lives now serves them; calls fail while it is down. */
  get #live(): Connection {
    if (this.#connection === undefined) throw Object.assign(new Error("the daemon is down"), { code: 14 });
    return this.#connection;
  }

  get tasks() {
    return this.#live.service(tasks.TasksDefinition, { namespace: this.namespace });
  }

  get containers() {
    return this.#live.service(containers.ContainersDefinition, { namespace: this.namespace });
  }

  /** A root filesystem for a task. */
  get rootfs() {
    return [{ type: "bind", source: this.#rootfs, target: "", options: ["rbind", "ro"] }];
  }

  /** A container record that runs `script`. */
  async addContainer(id: string, script: string, annotations: Readonly<Record<string, string>> = {}): Promise<void> {
    const group = groupOf(this.#grouping, id, annotations);
    this.#sockets.add(socketPathOfAddress(addressOfShim(this.daemon.address, this.namespace, group)));
    const { typeUrl, value } = runtimeSpec(["/bin/sh", "-c", script], { cgroup: `/${this.namespace}/${id}` });
    const spec = JSON.parse(value.toString()) as { root: object; mounts: object[] };
    const out = { destination: "/out", type: "bind", source: this.path(), options: ["rbind", "rw"] };
    const whole = { ...spec, annotations, root: { ...spec.root, readonly: true }, mounts: [...spec.mounts, out] };
    await this.containers.create({
      container: {
        id,
        runtime: { name: "io.containerd.runc.v2" },
        spec: { typeUrl, value: Buffer.from(JSON.stringify(whole)) },
      },
    });
  }

  shims() {
    return shimsOf(this.daemon.address);
  }

  /** The namespace's facts, in order. */
  async facts(): Promise<StagedFact[]> {
    const facts: StagedFact[] = [];
    for await (const page of this.#live.service(log.LogDefinition).read({ namespace: this.namespace }))
      for (const { position, stream, type, data } of page.facts)
        facts.push({ position: Number(position), stream, type, data: unpack(data) });
    return facts;
  }

  /** Ends the test's part of it: nothing may be left of any container, by what the daemon finds and by what the machine shows; then nothing of the daemon. */
  async assertNothingLeft(): Promise<void> {
    let left: string[] = [];
    const isClear = async () => {
      left = [...(await this.#findings()), ...(await this.#leftovers())];
      return left.length === 0 ? true : undefined;
    };
    await eventually("nothing is left", isClear, GONE_MS_MAX).catch((cause: unknown) =>
      assert.deepEqual(left, [], `${cause}`),
    );
    const report = await this.#live.service(log.LogDefinition).verify({});
    assert.deepEqual(report.problems, []);
    const spares = await sparesOf(this.daemon.pid);
    await this.daemon.end("SIGTERM");
    for (const pid of spares) assert.equal(await isRunning(pid), false, `spare ${pid} ends before its daemon does`);
  }

  /** What fsck has to say. */
  async #findings(): Promise<string[]> {
    const findings: string[] = [];
    for await (const page of this.#live.service(collection.CollectionDefinition).check({}))
      findings.push(...page.findings.map(({ kind, place, message }) => `fsck: ${kind} ${place}: ${message}`));
    return findings;
  }

  async #leftovers(): Promise<string[]> {
    const { state, root } = this.daemon.paths;
    const below = async (directory: string) =>
      (await readdir(join(directory, "io.containerd.runtime.v2.task", this.namespace)).catch(() => [])).map(
        (name) => `bundle ${name} in ${directory}`,
      );
    const sockets: string[] = [];
    for (const path of this.#sockets) {
      const isThere = await access(path).then(
        () => true,
        () => false,
      );
      if (isThere) sockets.push(`socket ${path}`);
    }
    return [
      ...(await this.shims()).map(({ pid, id }) => `shim ${pid} of ${id}`),
      ...(await containerProcesses(this.namespace)).map((pid) => `process ${pid}`),
      ...(await mountsBelow(this.daemon.paths.directory)).map((point) => `mount ${point}`),
      ...(await runcTraces(this.namespace)),
      ...(await below(state)),
      ...(await below(root)),
      ...sockets,
    ];
  }

  /** What tells of a failure: the daemon's log, with its shims', and the facts. */
  async #keep(file: string): Promise<void> {
    const facts = await this.facts().catch((error: unknown) => [`no facts: ${error}`]);
    const asText = (_: string, value: unknown) => (typeof value === "bigint" ? String(value) : value);
    const lines = facts.map((fact) => JSON.stringify(fact, asText));
    await writeFile(file, [await this.daemon.log(), ...lines, ""].join("\n"), { flag: "a" });
  }

  async #close(): Promise<void> {
    this.#connection?.close();
    this.#connection = undefined;
    await this.daemon.end("SIGTERM");
    for (const { pid } of await this.shims()) killIfThere(pid);
    for (const pid of await containerProcesses(this.namespace)) killIfThere(pid);
    await thawContainers(this.namespace);
    await eventually("all processes are gone", async () =>
      (await this.shims()).length + (await containerProcesses(this.namespace)).length === 0 ? true : undefined,
    );
    await this.daemon.dispose();
    await removeRuncTraces(this.namespace);
    for (const path of this.#sockets) await rm(path, { force: true });
    await rm(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }
}
