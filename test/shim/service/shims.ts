/** The task service in this process over a real socket, and containerd's own shim as a process, both with real containers of busybox. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, copyFile, mkdir, mkdtemp, open, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import { becomeSubreaper, unmountAll } from "../../../src/platform/mod.ts";
import type { TaskService } from "../../../src/shim/program/task-service.ts";
import { Publisher } from "../../../src/shim/publisher/mod.ts";
import { makeTaskService, statusOf } from "../../../src/shim/service/mod.ts";
import { socketPathOfAddress, TtrpcClient, TtrpcServer } from "../../../src/shim/ttrpc/mod.ts";
import { Options } from "../../../src/wire/gen/containerd/runc/v1/options.ts";
import { EventsDefinition } from "../../../src/wire/gen/containerd/services/events/ttrpc/v1/events.ts";
import {
  CreateTaskRequest,
  ExecProcessRequest,
  TaskDefinition,
} from "../../../src/wire/gen/containerd/task/v2/shim.ts";
import { LogLoss } from "../../../src/wire/gen/shiplog/shim/v1/shim.ts";
import { payloadByTypeUrl } from "../../../src/wire/payloads.ts";
import type { RequestOf, ResponseOf } from "../../../src/wire/definition.ts";
import { eventually, within } from "../../harness/eventually.ts";
import { execSpec, runtimeSpec } from "../../harness/spec.ts";

const run = promisify(execFile);

export const namespace = "shim-service";

type Methods = (typeof TaskDefinition)["methods"];

/** An event as it was told: its topic without "/tasks/", and its payload's fields. */
export interface Told {
  readonly topic: string;
  readonly [field: string]: unknown;
}

/** Of every event that a shim of ours tells. */
const codecs: Readonly<Record<string, { decode(bytes: Uint8Array): object }>> = {
  ...payloadByTypeUrl,
  "shiplog.shim.v1.LogLoss": LogLoss,
};

/** How long any one call or event may take before the test fails. */
const callMsMax = 60_000;

export interface SiteOptions {
  readonly joinsContainerCgroup?: boolean;
}

/** A directory of a test's with a daemon's end of the events socket; all that was begun here is ended when the test is. */
export class Site {
  readonly directory: string;
  readonly told: Told[] = [];
  /** What the service had to say of its own. */
  readonly troubles: string[] = [];
  readonly #ends: (() => Promise<unknown>)[] = [];
  readonly #bundles: string[] = [];
  #daemon: TtrpcServer | undefined;

  static async open(t: TestContext): Promise<Site> {
    const site = new Site(await mkdtemp(join(tmpdir(), "shiplog-service-")));
    t.after(() => site.#close());
    await site.#makeRootfs();
    await site.daemonComes();
    site.after(() => site.daemonLeaves());
    return site;
  }

  private constructor(directory: string) {
    this.directory = directory;
  }

  after(end: () => Promise<unknown>): void {
    this.#ends.push(end);
  }

  /** Events are taken from here on. */
  async daemonComes(): Promise<void> {
    this.#daemon = new TtrpcServer();
    this.#daemon.register(EventsDefinition, {
      forward: async ({ envelope }) => {
        const { typeUrl, value } = envelope!.event!;
        const payload = codecs[typeUrl]!.decode(value);
        this.told.push({ topic: envelope!.topic.replace("/tasks/", ""), ...payload });
        return {};
      },
    });
    await this.#daemon.listen(join(this.directory, "events"));
  }

  async daemonLeaves(): Promise<void> {
    await this.#daemon?.close();
  }

  /** The task service of ours, in this process. */
  async ours({ joinsContainerCgroup = false }: SiteOptions = {}): Promise<Shim> {
    becomeSubreaper();
    const publisher = new Publisher({ ttrpcAddress: join(this.directory, "events"), namespace });
    const log = (_level: string, text: string, fields?: object) =>
      void this.troubles.push(`${text} ${JSON.stringify(fields ?? {})}`);
    const shutDown = () => void this.told.push({ topic: "shutDown" });
    const service = makeTaskService({
      namespace,
      publisher,
      log,
      joinsCgroupOf: () => joinsContainerCgroup,
      arrived: () => {},
      departed: () => {},
      shutDown,
    });
    const server = new TtrpcServer({ statusOf });
    service.register(server);
    const path = join(this.directory, `shim-${this.#ends.length}`);
    await server.listen(path);
    const client = await TtrpcClient.connect(`unix://${path}`);
    const shim = new Shim(this, client, service);
    this.after(async () => {
      await publisher.drained(5_000);
      publisher.close();
      client.close();
      await server.close();
      await service.close();
    });
    return shim;
  }

  /** The task service of ours as a process, and how to kill it. */
  async separate(): Promise<{ readonly shim: Shim; kill(): Promise<void> }> {
    const path = join(this.directory, `shim-${this.#ends.length}`);
    const served = join(import.meta.dirname, "served.ts");
    const child = spawn(process.execPath, [served, namespace, join(this.directory, "events"), path], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(child, "exit");
    await once(child.stdout, "data");
    const client = await TtrpcClient.connect(`unix://${path}`);
    const kill = async () => {
      child.kill("SIGKILL");
      await ended;
      client.close();
    };
    this.after(kill);
    return { shim: new Shim(this, client, undefined), kill };
  }

  /** containerd's shim for runc, started for one bundle. */
  async containerds(bundle: string): Promise<Shim> {
    await run("mkfifo", [join(bundle, "log")]);
    const log = await open(join(bundle, "log"), "r+");
    this.after(() => log.close());
    const daemon = ["-namespace", namespace, "-address", join(this.directory, "grpc"), "-publish-binary", "/bin/true"];
    const starting = run("containerd-shim-runc-v2", [...daemon, "-id", basename(bundle), "start"], {
      cwd: bundle,
      env: { PATH: process.env.PATH, TTRPC_ADDRESS: join(this.directory, "events") },
    });
    starting.child.stdin!.end();
    const address = (await starting).stdout.trim();
    const client = await TtrpcClient.connect(address);
    const shim = new Shim(this, client, undefined);
    const { shimPid } = await shim.call("connect", { id: basename(bundle) });
    this.after(async () => {
      client.close();
      try {
        process.kill(shimPid, "SIGKILL");
      } catch {
        // It has left by itself.
      }
      await rm(socketPathOfAddress(address), { force: true });
    });
    return shim;
  }

  /** A bundle named by its container's id, whose process is `args`. `edit` changes the spec. */
  async bundle(id: string, args: readonly string[], edit: (spec: Spec) => void = () => {}): Promise<string> {
    const bundle = join(this.directory, `${this.#bundles.length}`, id);
    this.#bundles.push(bundle);
    await mkdir(join(bundle, "rootfs"), { recursive: true });
    await mkdir(join(bundle, "work"));
    const spec = JSON.parse(runtimeSpec(args, { cgroup: this.cgroup(id) }).value.toString()) as Spec;
    edit(spec);
    await writeFile(join(bundle, "config.json"), JSON.stringify(spec));
    return bundle;
  }

  /** The path of a container's cgroup, of its own for each site. */
  cgroup(id: string): string {
    return `/${basename(this.directory)}-${id}`;
  }

  get rootfs(): string {
    return join(this.directory, "rootfs");
  }

  get runtimeRoot(): string {
    return join(this.directory, "runtime");
  }

  /** Waits for an event that was or will be told. */
  async event(topic: string, fits: (told: Told) => boolean = () => true): Promise<Told> {
    return eventually(`${topic} among ${JSON.stringify(this.told.map((told) => told.topic))}`, () =>
      this.told.find((told) => told.topic === topic && fits(told)),
    );
  }

  /**
   * The runtime's name as a daemon gives it. crun refuses to work where both versions of cgroups are mounted, as on many a machine for tests, so it
   * is shown the first one only.
   */
  async runtime(name: "runc" | "crun"): Promise<string> {
    if (name === "runc") return name;
    const script = join(this.directory, "crun");
    const alone = 'umount /sys/fs/cgroup/unified 2> /dev/null; exec crun "$@"';
    await writeFile(script, `#!/bin/sh\nexec unshare --mount /bin/sh -c '${alone}' crun "$@"\n`, { mode: 0o755 });
    return script;
  }

  async #makeRootfs(): Promise<void> {
    for (const name of ["bin", "dev", "proc", "tmp"]) await mkdir(join(this.rootfs, name), { recursive: true });
    await copyFile("/bin/busybox", join(this.rootfs, "bin", "busybox"));
    await chmod(join(this.rootfs, "bin", "busybox"), 0o755);
    for (const applet of ["sh", "echo", "sleep", "cat", "true", "false", "kill", "stty", "dd", "head", "tail"]) {
      await symlink("busybox", join(this.rootfs, "bin", applet));
    }
  }

  async #close(): Promise<void> {
    for (const end of this.#ends.reverse()) await end();
    for (const runtime of ["runc", "crun"]) {
      for (const bundle of this.#bundles) {
        const root = join(this.runtimeRoot, namespace);
        await run(runtime, ["--root", root, "delete", "--force", basename(bundle)]).catch(() => {});
      }
    }
    for (const bundle of this.#bundles) await unmountAll(join(bundle, "rootfs"), { lazy: true });
    await rm(this.directory, { recursive: true });
  }
}

/** A spec as far as tests change it. */
export interface Spec {
  process: { args: string[]; terminal?: boolean };
  mounts: { destination: string; type: string; source: string; options?: string[] }[];
  linux: { namespaces: { type: string }[]; resources?: object };
}

/** Gives the container what terminals are made of. */
export function withTerminals(spec: Spec): void {
  spec.mounts.push({
    destination: "/dev/pts",
    type: "devpts",
    source: "devpts",
    options: ["newinstance", "ptmxmode=0666", "mode=0620"],
  });
}

export interface CreateOptions {
  readonly runtime?: string;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly stdin?: string;
  readonly terminal?: boolean;
  readonly checkpoint?: string;
}

/** A client of a shim, whoever's it is. */
export class Shim {
  readonly #site: Site;
  readonly client: TtrpcClient;
  /** Ours only. */
  readonly service: TaskService | undefined;

  constructor(site: Site, client: TtrpcClient, service: TaskService | undefined) {
    this.#site = site;
    this.client = client;
    this.service = service;
  }

  call<K extends keyof Methods & string>(method: K, request: RequestOf<Methods[K]>): Promise<ResponseOf<Methods[K]>> {
    return within(`${method} ${JSON.stringify(request)}`, callMsMax, this.client.call(TaskDefinition, method, request));
  }

  async create(bundle: string, { runtime = "", ...io }: CreateOptions = {}): Promise<number> {
    const options = Options.encode(Options.fromPartial({ root: this.#site.runtimeRoot, binaryName: runtime })).finish();
    const request = CreateTaskRequest.fromPartial({
      id: basename(bundle),
      bundle,
      rootfs: [{ type: "bind", source: this.#site.rootfs, target: "", options: ["rbind", "rw"] }],
      options: { typeUrl: "containerd.runc.v1.Options", value: Buffer.from(options) },
      ...io,
    });
    return (await this.call("create", request)).pid;
  }

  /** Makes the bundle, creates the container and starts it. */
  async run(
    id: string,
    args: readonly string[],
    options: CreateOptions & { readonly edit?: (spec: Spec) => void } = {},
  ): Promise<number> {
    const { edit, ...rest } = options;
    const pid = await this.create(await this.#site.bundle(id, args, edit), rest);
    await this.start(id);
    return pid;
  }

  async start(id: string, execId = ""): Promise<number> {
    return (await this.call("start", { id, execId })).pid;
  }

  async addExec(
    id: string,
    execId: string,
    args: readonly string[],
    io: Partial<ExecProcessRequest> = {},
  ): Promise<void> {
    await this.call("exec", ExecProcessRequest.fromPartial({ id, execId, spec: execSpec(args), ...io }));
  }

  async exec(
    id: string,
    execId: string,
    args: readonly string[],
    io: Partial<ExecProcessRequest> = {},
  ): Promise<number> {
    await this.addExec(id, execId, args, io);
    return this.start(id, execId);
  }

  async kill(id: string, { execId = "", signal = 9, all = false } = {}): Promise<void> {
    await this.call("kill", { id, execId, signal, all });
  }

  async wait(id: string, execId = ""): Promise<number> {
    return (await this.call("wait", { id, execId })).exitStatus;
  }

  state(id: string, execId = "") {
    return this.call("state", { id, execId });
  }

  /** Ours in this process only. */
  async adopt(bundle: string): Promise<void> {
    await this.service!.adopt(basename(bundle), bundle);
  }

  delete(id: string, execId = "") {
    return this.call("delete", { id, execId });
  }
}

export const outputOf = (path: string): Promise<string> => readFile(path, "utf8");
