/** Real containers made by an OCI runtime itself, with the streams that a test opened. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import { openStdio, type ProcessStdio, type StdioRequest } from "../../../src/shim/io/mod.ts";
import { eventually } from "../../harness/eventually.ts";
import { runtimeSpec } from "../../harness/spec.ts";

const run = promisify(execFile);
/** A directory of a test's, and what has to end before it is removed: last begun, first ended. */
export class Site {
  readonly directory: string;
  readonly #ends: (() => Promise<unknown>)[] = [];

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async open(t: TestContext): Promise<Site> {
    const site = new Site(await mkdtemp(join(tmpdir(), "shiplog-io-")));
    t.after(async () => {
      for (const end of site.#ends.reverse()) await end();
      await rm(site.directory, { recursive: true });
    });
    return site;
  }

  /** Adds what has to end. */
  after(end: () => Promise<unknown>): void {
    this.#ends.push(end);
  }

  /** Opens the streams of a bundle's first process, creates the container and starts it. */
  async start(bundle: string, uris: Partial<StdioRequest>, runtime?: string) {
    const stdio = await openStdio(requestFor(bundle, uris));
    this.after(() => stdio.close());
    const container = new Container(bundle, runtime);
    this.after(() => container.delete());
    await container.run(stdio);
    return { container, stdio };
  }
}

const applets = ["sh", "echo", "cat", "seq", "sleep", "stty", "dd", "true"];

/** Makes a bundle whose process is `args`, with busybox as its root, below a directory of the test's. */
export async function makeBundle(
  directory: string,
  args: readonly string[],
  options: { readonly terminal?: boolean; readonly uid?: number } = {},
): Promise<string> {
  const bundle = join(directory, `bundle-${Math.random().toString(16).slice(2)}`);
  for (const name of ["bin", "dev", "proc"]) await mkdir(join(bundle, "rootfs", name), { recursive: true });
  await copyFile("/bin/busybox", join(bundle, "rootfs", "bin", "busybox"));
  await chmod(join(bundle, "rootfs", "bin", "busybox"), 0o755);
  for (const applet of applets) await symlink("busybox", join(bundle, "rootfs", "bin", applet));
  const id = bundle.slice(bundle.lastIndexOf("/") + 1);
  const { value } = runtimeSpec(args, { ...options, cgroup: `/shiplog-io-${id}` });
  const spec = JSON.parse(value.toString());
  spec.process.user = { uid: options.uid ?? 0, gid: options.uid ?? 0 };
  const devpts = {
    destination: "/dev/pts",
    type: "devpts",
    source: "devpts",
    options: ["newinstance", "ptmxmode=0666"],
  };
  spec.mounts.push(devpts);
  await writeFile(join(bundle, "config.json"), JSON.stringify(spec));
  return bundle;
}

/** A request for the streams of the first process of `bundle`. */
export function requestFor(bundle: string, uris: Partial<StdioRequest>): StdioRequest {
  return {
    namespace: "shiplog-io",
    containerId: bundle.slice(bundle.lastIndexOf("/") + 1),
    execId: "",
    bundle,
    stdin: "",
    stdout: "",
    stderr: "",
    terminal: false,
    ioUid: 0,
    ioGid: 0,
    ...uris,
  };
}

export class Container {
  readonly #bundle: string;
  readonly #runtime: string;
  readonly id: string;
  pid = 0;

  constructor(bundle: string, runtime = "runc") {
    this.#bundle = bundle;
    this.#runtime = runtime;
    this.id = bundle.slice(bundle.lastIndexOf("/") + 1);
  }

  /** Creates it with the streams, and starts it. */
  async run(stdio: ProcessStdio): Promise<void> {
    const pidFile = join(this.#bundle, "init.pid");
    const terminal = stdio.consoleSocket === undefined ? [] : ["--console-socket", stdio.consoleSocket];
    await this.#spawn(["create", "--bundle", this.#bundle, "--pid-file", pidFile, ...terminal, this.id], stdio);
    this.pid = Number(await readFile(pidFile, "utf8"));
    await stdio.started();
    await this.#call("start", this.id);
  }

  /** Runs another process in it, to its end. */
  async exec(stdio: ProcessStdio, args: readonly string[]): Promise<void> {
    const pidFile = join(this.#bundle, "exec.pid");
    await this.#spawn(["exec", "--detach", "--pid-file", pidFile, this.id, ...args], stdio);
    await stdio.started();
  }

  get runs(): boolean {
    try {
      process.kill(this.pid, 0);
      return true;
    } catch {
      return false;
    }
  }

  /** Resolves when its first process has ended, a zombie included. */
  async ended(): Promise<void> {
    await eventually("the process ends", async () => {
      const text = await readFile(`/proc/${this.pid}/stat`, "utf8").catch(() => ") Z ");
      return /\) [ZX] /.test(text) || undefined;
    });
  }

  async delete(): Promise<void> {
    await this.#call("delete", "--force", this.id);
  }

  /** The runtime's command line. crun refuses to work where both versions of cgroups are mounted, so it is shown one of them only. */
  #command(...args: readonly string[]): readonly [file: string, args: readonly string[]] {
    const all = ["--root", join(this.#bundle, "state"), ...args];
    if (this.#runtime !== "crun") return [this.#runtime, all];
    const script = 'umount /sys/fs/cgroup/unified 2> /dev/null; exec crun --cgroup-manager disabled "$@"';
    return ["unshare", ["--mount", "sh", "-c", script, "sh", ...all]];
  }

  async #call(...args: readonly string[]): Promise<void> {
    await run(...this.#command(...args));
  }

  async #spawn(args: readonly string[], stdio: ProcessStdio): Promise<void> {
    const log = join(this.#bundle, "runtime.log");
    const child = spawn(...this.#command("--log", log, ...args), { stdio: [...stdio.descriptors] });
    const [code] = await once(child, "exit");
    if (code !== 0) throw new Error(`${this.#runtime} ${args[0]}: ${await readFile(log, "utf8").catch(() => code)}`);
  }
}
