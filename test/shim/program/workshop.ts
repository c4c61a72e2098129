/** Our shim's binary, driven as a daemon drives it: bundles, a socket that takes events, commands run to their end. Everything is gone after the test. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { socketPathOfAddress, TtrpcClient, TtrpcServer } from "../../../src/shim/ttrpc/mod.ts";
import type { RequestOf, ResponseOf } from "../../../src/wire/definition.ts";
import { TaskExit } from "../../../src/wire/gen/containerd/events/task.ts";
import { Options } from "../../../src/wire/gen/containerd/runc/v1/options.ts";
import { type Envelope, EventsDefinition } from "../../../src/wire/gen/containerd/services/events/ttrpc/v1/events.ts";
import { CreateTaskRequest, TaskDefinition } from "../../../src/wire/gen/containerd/task/v2/shim.ts";
import { Any } from "../../../src/wire/gen/google/protobuf/any.ts";
import { eventually } from "../../harness/eventually.ts";
import { removeRuncTraces } from "../../harness/runc-traces.ts";
import { runtimeSpec } from "../../harness/spec.ts";
import { mountsBelow, shimsOf, unmount } from "../../harness/traces.ts";

export const program = fileURLToPath(new URL("../../../bin/containerd-shim-shiplog-v1", import.meta.url));

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly output: Buffer;
  readonly stderr: string;
}

type TaskMethods = typeof TaskDefinition.methods;

export class Workshop {
  readonly directory: string;
  readonly namespace: string;
  readonly address: string;
  readonly ttrpcAddress: string;
  readonly envelopes: Envelope[] = [];
  readonly #clients = new Map<string, TtrpcClient>();
  readonly #addresses = new Set<string>();
  readonly #spares: ChildProcess[] = [];
  #events: TtrpcServer | undefined;

  static async open(t: TestContext): Promise<Workshop> {
    const workshop = new Workshop(await mkdtemp(join(tmpdir(), "shiplog-shim-")));
    t.after(() => workshop.#close());
    await workshop.takeEvents();
    return workshop;
  }

  private constructor(directory: string) {
    this.directory = directory;
    this.namespace = basename(directory);
    this.address = join(directory, "grpc.sock");
    this.ttrpcAddress = join(directory, "ttrpc.sock");
  }

  /** The daemon is there, as far as a shim's events go. */
  async takeEvents(): Promise<void> {
    const server = new TtrpcServer();
    server.register(EventsDefinition, {
      forward: async ({ envelope }) => {
        this.envelopes.push(envelope!);
        return {};
      },
    });
    await server.listen(this.ttrpcAddress);
    this.#events = server;
  }

  async refuseEvents(): Promise<void> {
    await this.#events?.close();
    this.#events = undefined;
  }

  /** Exits that came, as "container status", in order. */
  get exits(): string[] {
    return this.envelopes
      .filter(({ topic }) => topic === "/tasks/exit")
      .map(({ event }) => TaskExit.decode(event!.value))
      .map(({ containerId, exitStatus }) => `${containerId} ${exitStatus}`);
  }

  /** A bundle of a container that runs `args`, with busybox in it. */
  async bundle(
    id: string,
    args: readonly string[],
    annotations: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const bundle = join(this.directory, id);
    const bin = join(bundle, "rootfs", "bin");
    await mkdir(bin, { recursive: true });
    await copyFile("/bin/busybox", join(bin, "busybox"));
    await chmod(join(bin, "busybox"), 0o755);
    for (const name of ["sh", "sleep", "true"]) await symlink("busybox", join(bin, name));
    const spec = JSON.parse(runtimeSpec(args, { cgroup: `/${this.namespace}/${id}` }).value.toString()) as object;
    await writeFile(join(bundle, "config.json"), JSON.stringify({ ...spec, annotations }));
    return bundle;
  }

  /** Runs the binary in the bundle, as a daemon does, and resolves when both it and its output have ended. */
  async run(
    id: string,
    action: string,
    {
      options,
      environment = {},
      flags = [],
    }: { options?: Partial<Options>; environment?: Record<string, string>; flags?: readonly string[] } = {},
  ): Promise<Finished> {
    const common = ["-namespace", this.namespace, "-address", this.address, "-publish-binary", "/bin/true", "-id", id];
    const child = spawn(program, [...common, ...flags, action], {
      cwd: join(this.directory, id),
      env: { PATH: process.env.PATH, TTRPC_ADDRESS: this.ttrpcAddress, ...environment },
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
    child.stdin.on("error", () => {});
    child.stdin.end(options === undefined ? undefined : Any.encode(optionsOf(options)).finish());
    const chunks: Record<"stdout" | "stderr", Buffer[]> = { stdout: [], stderr: [] };
    child.stdout.on("data", (chunk: Buffer) => chunks.stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => chunks.stderr.push(chunk));
    const [code] = (await once(child, "close")) as [number | null];
    const output = Buffer.concat(chunks.stdout);
    const stdout = output.toString();
    if (stdout.startsWith("unix://")) this.#addresses.add(stdout);
    return { code, stdout, output, stderr: Buffer.concat(chunks.stderr).toString() };
  }

  /** Starts a shim that has to start, and returns its address. */
  async start(id: string, given: Parameters<Workshop["run"]>[2] = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(id, "start", given);
    if (code !== 0 || stderr !== "") throw new Error(`start ${id}: ${code}: ${stderr}`);
    return stdout;
  }

  /** A warm shim, with its caller's connection. */
  spare(): { readonly child: ChildProcess; readonly client: TtrpcClient } {
    const stdio = ["ignore", "ignore", "ignore", "pipe"] as const;
    const child = spawn(program, ["spare"], { stdio: [...stdio], detached: true, env: { PATH: process.env.PATH } });
    this.#spares.push(child);
    return { child, client: new TtrpcClient(child.stdio[3] as Socket, "the spare") };
  }

  async call<K extends keyof TaskMethods & string>(
    address: string,
    method: K,
    request: RequestOf<TaskMethods[K]>,
  ): Promise<ResponseOf<TaskMethods[K]>> {
    this.#addresses.add(address);
    let client = this.#clients.get(address);
    if (client === undefined) {
      client = await TtrpcClient.connect(address);
      this.#clients.set(address, client);
      client.onClose(() => this.#clients.delete(address));
    }
    return client.call(TaskDefinition, method, request, { timeoutMs: 20_000 });
  }

  /** Creates and starts the container of a bundle; its pid. */
  async runContainer(address: string, id: string, options: Partial<Options> = {}): Promise<number> {
    const given = { root: join(this.directory, "runc"), ...options };
    const request = CreateTaskRequest.create({ id, bundle: join(this.directory, id), options: optionsOf(given) });
    await this.call(address, "create", request);
    return (await this.call(address, "start", { id, execId: "" })).pid;
  }

  /** Kills the shim as nothing but the kernel can, and waits until it is gone. */
  async killShim(address: string): Promise<void> {
    const { shimPid } = await this.call(address, "connect", { id: "" });
    process.kill(shimPid, "SIGKILL");
    await eventually("the shim is gone", async () => ((await isRunning(shimPid)) ? undefined : true));
  }

  shims() {
    return shimsOf(this.address);
  }

  async #close(): Promise<void> {
    for (const client of this.#clients.values()) client.close();
    for (const { pid } of await this.shims()) killIfThere(pid);
    for (const { pid, exitCode } of this.#spares) if (pid !== undefined && exitCode === null) killIfThere(pid);
    await eventually("all shims are gone", async () => ((await this.shims()).length === 0 ? true : undefined));
    const runc = (args: readonly string[]) => {
      const child = spawn("runc", ["--root", join(this.directory, "runc", this.namespace), ...args], {
        stdio: ["ignore", "pipe", "ignore"],
      });
      return Promise.all([child.stdout.toArray(), once(child, "exit")]).then(([chunks]) =>
        Buffer.concat(chunks as Buffer[]).toString(),
      );
    };
    for (const id of (await runc(["list", "--quiet"])).split("\n").filter(Boolean))
      await runc(["delete", "--force", id]);
    await this.refuseEvents();
    await removeRuncTraces(this.namespace);
    for (const address of this.#addresses) await rm(socketPathOfAddress(address), { force: true });
    for (const point of (await mountsBelow(this.directory)).toReversed()) await unmount(point);
    await rm(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

export const optionsOf = (options: Partial<Options>): Any => ({
  typeUrl: "containerd.runc.v1.Options",
  value: Buffer.from(Options.encode(Options.create(options)).finish()),
});

/** Whether the process runs; one that has ended and is not reaped does not. */
export async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => undefined);
  return stat !== undefined && !/^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
