/**
 * Debian's `dockerd` on a containerd socket that a test names, and the `docker` command on it. Everything that it makes lies in one
 * directory, apart from its containers' cgroups, which lie below a name of its own; it sets up no network.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { eventually } from "../harness/eventually.ts";
import { removeRuncTraces } from "../harness/runc-traces.ts";
import { mountsBelow, unmount } from "../harness/traces.ts";

const COMMAND_MS_MAX = 60_000;

/** Characters of dockerd's log that a failed start shows. */
const LOG_SHOWN_MAX = 20_000;

/** A plain user's PATH often lacks what these programs and those that they start lie in. */
const path = [process.env.PATH ?? "", "/usr/sbin", "/sbin"].join(delimiter);

export interface DockerResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** An event as `docker events` prints it. */
export interface DockerEvent {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
}

export class Docker {
  readonly #directory: string;
  readonly #containerd: string;
  readonly #cgroup = `shiplog-docker-${process.pid}`;
  #daemon: ChildProcess | undefined;

  /** `directory` must be there and empty; `containerd` is the address of the socket to use. */
  constructor(directory: string, containerd: string) {
    this.#directory = directory;
    this.#containerd = containerd;
  }

  /** Starts dockerd and waits until it answers. */
  async start(): Promise<void> {
    const config = join(this.#directory, "daemon.json");
    await writeFile(config, JSON.stringify({ "deprecated-key-path": join(this.#directory, "key.json") }));
    await mkdir(join(this.#directory, "client"), { recursive: true });
    const log = openSync(join(this.#directory, "dockerd.log"), "a");
    const args = [
      ...["--containerd", this.#containerd, "-H", this.#host, "--config-file", config],
      ...["--data-root", join(this.#directory, "data"), "--exec-root", join(this.#directory, "exec")],
      ...["--pidfile", join(this.#directory, "dockerd.pid")],
      ...[
        "--bridge=none",
        "--iptables=false",
        "--ip6tables=false",
        "--live-restore",
        `--cgroup-parent=/${this.#cgroup}`,
      ],
    ];
    const daemon = spawn("dockerd", args, { stdio: ["ignore", log, log], env: { ...process.env, PATH: path } });
    closeSync(log);
    this.#daemon = daemon;
    try {
      await once(daemon, "spawn");
      await eventually("dockerd answers", async () => {
        if (daemon.exitCode !== null) throw new Error("dockerd ended at start");
        return (await this.run("version")).code === 0 ? true : undefined;
      });
    } catch (error) {
      throw new Error(`start dockerd; the end of its log:\n${(await this.log()).slice(-LOG_SHOWN_MAX)}`, {
        cause: error,
      });
    }
  }

  log(): Promise<string> {
    return readFile(join(this.#directory, "dockerd.log"), "utf8").catch(() => "");
  }

  /** Runs one `docker` command to its end. */
  run(...args: readonly string[]): Promise<DockerResult> {
    return new Promise((resolve) => {
      const options = { env: this.#environment, timeout: COMMAND_MS_MAX };
      const { stdin } = execFile("docker", args, options, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        resolve({ code, stdout, stderr });
      });
      // A command that does not read it has closed it.
      stdin?.on("error", () => {});
      stdin?.end("from stdin\n");
    });
  }

  /** Every event from the first one on, in order; ends with `signal`. */
  events(signal: AbortSignal): readonly DockerEvent[] {
    const events: DockerEvent[] = [];
    const child = spawn("docker", ["events", "--since", "0", "--format", "{{json .}}"], {
      env: this.#environment,
      stdio: ["ignore", "pipe", "inherit"],
    });
    signal.addEventListener("abort", () => child.kill("SIGKILL"), { once: true });
    let rest = "";
    child.stdout.on("data", (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split("\n");
      rest = lines.pop() ?? "";
      events.push(...lines.map((line) => JSON.parse(line) as DockerEvent));
    });
    return events;
  }

  /** Removes every container, ends dockerd, and removes what it leaves mounted and its cgroups. */
  async dispose(): Promise<void> {
    const daemon = this.#daemon;
    if (daemon === undefined) return;
    if (daemon.exitCode === null && daemon.signalCode === null && daemon.pid !== undefined) {
      const { stdout } = await this.run("ps", "-aq");
      const ids = stdout.split("\n").filter((id) => id !== "");
      if (ids.length > 0) await this.run("rm", "-f", ...ids);
      const ended = once(daemon, "exit");
      daemon.kill("SIGTERM");
      await ended;
    }
    for (const point of (await mountsBelow(this.#directory)).toReversed()) await unmount(point);
    await removeRuncTraces(this.#cgroup);
  }

  get #host(): string {
    return `unix://${join(this.#directory, "docker.sock")}`;
  }

  get #environment(): NodeJS.ProcessEnv {
    return { PATH: path, DOCKER_HOST: this.#host, DOCKER_CONFIG: join(this.#directory, "client") };
  }
}
