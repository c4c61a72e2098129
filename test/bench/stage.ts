/**
 * Where a benchmark takes place: daemons side by side, each on a root of its own, a root filesystem that containers share, and a directory for
 * what they write. All of it goes at the end, also after a failure, and when the benchmark is told to end.
 */
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Mount } from "../../src/wire/mod.ts";
import { ctr } from "../harness/ctr.ts";
import { containerd, shiplogd, type TestDaemon } from "../harness/daemons.ts";
import { buildImage } from "../harness/image.ts";
import { removeRuncTraces } from "../harness/runc-traces.ts";
import { endProcesses, removeSockets, shimSockets } from "./remains.ts";

/** Of this benchmark alone, and with it the cgroups that its containers are in. */
export const namespace = `bench-${process.pid}`;

/** Of the configuration's table [shim]; what is not said is as the daemon has it by default. */
export interface ShimSettings {
  readonly grouping?: "container" | "sandbox" | "namespace";
  readonly cgroup?: "container" | "none";
  readonly spares?: number;
}

const applets = ["sh", "sleep", "cat", "true", "echo"];

export class Stage {
  readonly directory: string;
  readonly #daemons: TestDaemon[] = [];
  #archive: Promise<string> | undefined;
  #closed: Promise<void> | undefined;
  #serial = 0;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async open(): Promise<Stage> {
    const stage = new Stage(await mkdtemp(join(tmpdir(), "shiplog-bench-")));
    await makeRootfs(stage.#rootfsPath);
    return stage;
  }

  /** A shiplogd, started. */
  async shiplogd(shim: ShimSettings = {}): Promise<TestDaemon> {
    const daemon = await shiplogd(["--log-level", "warn"]);
    const config = join(daemon.paths.directory, "config.toml");
    const settings = Object.entries(shim).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
    await writeFile(config, ["[shim]", ...settings, ""].join("\n"));
    return this.#start(daemon.with(["--config", config]));
  }

  /** The reference, started. */
  async containerd(): Promise<TestDaemon> {
    return this.#start(await containerd());
  }

  async #start(daemon: TestDaemon): Promise<TestDaemon> {
    if (this.#closed !== undefined) {
      await daemon.dispose();
      throw new Error(`start ${daemon.name}: the benchmark is ending`);
    }
    this.#daemons.push(daemon);
    await daemon.start();
    return daemon;
  }

  /** Gives the daemon the image `imageName`. */
  async importImage(daemon: TestDaemon): Promise<void> {
    this.#archive ??= mkdir(join(this.directory, "image"))
      .then(() => buildImage(join(this.directory, "image")))
      .then(({ archive }) => archive);
    const { code, stderr } = await ctr(daemon.address, namespace, ["images", "import", await this.#archive]);
    if (code !== 0) throw new Error(`ctr images import on ${daemon.name}: ${stderr}`);
  }

  /** An id that no container of any daemon on this stage has had. */
  newId(): string {
    return `c${this.#serial++}`;
  }

  get #rootfsPath(): string {
    return join(this.directory, "rootfs");
  }

  /** A root filesystem with busybox, which all containers share. */
  get rootfs(): readonly Mount[] {
    return [{ type: "bind", source: this.#rootfsPath, target: "", options: ["rbind", "rw"] }];
  }

  /** May be called again: whoever calls waits for the same end. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    for (const daemon of this.#daemons.splice(0)) {
      const sockets = await shimSockets(daemon, namespace);
      await daemon.dispose();
      await removeSockets(sockets);
    }
    await endProcesses(namespace);
    await removeRuncTraces(namespace);
    await rm(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

const signals = ["SIGINT", "SIGTERM"] as const;

/** Opens a stage for `perform`, and closes it whatever becomes of that. */
export async function onStage<T>(perform: (stage: Stage) => Promise<T>): Promise<T> {
  const stage = await Stage.open();
  const end = () => void stage.close().finally(() => process.exit(1));
  for (const signal of signals) process.once(signal, end);
  try {
    return await perform(stage);
  } finally {
    for (const signal of signals) process.off(signal, end);
    await stage.close();
  }
}

async function makeRootfs(path: string): Promise<void> {
  // `bench` is where a benchmark's own directory is seen inside.
  for (const name of ["bin", "dev", "proc", "bench"]) await mkdir(join(path, name), { recursive: true });
  await copyFile("/bin/busybox", join(path, "bin", "busybox"));
  await chmod(join(path, "bin", "busybox"), 0o755);
  for (const applet of applets) await symlink("busybox", join(path, "bin", applet));
}
