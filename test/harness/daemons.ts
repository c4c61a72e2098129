/** Real daemons for tests, each with a root, state and socket of its own: shiplogd, and containerd as the reference. */
import { type ChildProcess, spawn } from "node:child_process";
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { once } from "node:events";
import { eventually } from "./eventually.ts";
import { endShims, mountsBelow, unmount } from "./traces.ts";

const repository = fileURLToPath(new URL("../..", import.meta.url));

/** A start may have to wait for shims that were in the middle of something when the daemon was killed. */
const START_MS_MAX = 60_000;
/** Characters of a daemon's log that a failed start shows. */
const LOG_SHOWN_MAX = 20_000;

export interface DaemonPaths {
  readonly directory: string;
  readonly root: string;
  readonly state: string;
  readonly address: string;
}

/** A daemon under test. Killing and starting it again keeps its root and state. */
export class TestDaemon {
  readonly name: "shiplog" | "containerd";
  readonly paths: DaemonPaths;
  readonly #command: string;
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;

  constructor(name: "shiplog" | "containerd", paths: DaemonPaths, command: string, args: readonly string[]) {
    this.name = name;
    this.paths = paths;
    this.#command = command;
    this.#args = args;
  }

  /** The same daemon, not started yet, with more arguments. */
  with(args: readonly string[]): TestDaemon {
    return new TestDaemon(this.name, this.paths, this.#command, [...this.#args, ...args]);
  }

  /** The same daemon, not started yet, with variables of its own in the environment. */
  withEnvironment(variables: Readonly<Record<string, string>>): TestDaemon {
    const settings = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
    return new TestDaemon(this.name, this.paths, "env", [...settings, this.#command, ...this.#args]);
  }

  get address(): string {
    return this.paths.address;
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  /** Starts the daemon and waits until its socket answers. */
  async start(): Promise<void> {
    const log = join(this.paths.directory, "daemon.log");
    const child = spawn("sh", ["-c", `exec "$0" "$@" >>'${log}' 2>&1`, this.#command, ...this.#args], {
      stdio: "ignore",
    });
    this.#child = child;
    try {
      await eventually(
        `${this.name} listens on ${this.address}`,
        async () => {
          if (child.exitCode !== null) throw new Error(`${this.name} ended at start`);
          return (await answers(this.address)) ? true : undefined;
        },
        START_MS_MAX,
      );
    } catch (error) {
      throw new Error(`start ${this.name}; the end of its log:\n${(await this.log()).slice(-LOG_SHOWN_MAX)}`, {
        cause: error,
      });
    }
  }

  /** Ends the daemon by a signal and waits until it is gone. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
    this.#child = undefined;
  }

  log(): Promise<string> {
    return readFile(join(this.paths.directory, "daemon.log"), "utf8");
  }

  /** Ends the daemon and removes everything that is its own, also what a failed test left running. */
  async dispose(): Promise<void> {
    await this.end("SIGTERM");
    await endShims(this.address);
    for (const point of (await mountsBelow(this.paths.directory)).toReversed()) await unmount(point);
    await rm(this.paths.directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function makePaths(): Promise<DaemonPaths> {
  const directory = await mkdtemp(join(tmpdir(), "shiplog-test-"));
  const paths = {
    directory,
    root: join(directory, "root"),
    state: join(directory, "state"),
    address: join(directory, "d.sock"),
  };
  await mkdir(paths.root, { mode: 0o711 });
  await mkdir(paths.state, { mode: 0o711 });
  return paths;
}

/** A shiplogd that collects garbage only when it is asked to, as the reference does; with more of its configuration, as TOML. */
export async function shiplogdWithoutCollection(configuration = ""): Promise<TestDaemon> {
  const daemon = await shiplogd();
  const config = join(daemon.paths.directory, "config.toml");
  await writeFile(config, `[collection]\nautomatic = false\n${configuration}`);
  return daemon.with(["--config", config]);
}

/** A shiplogd on a root of its own, not started yet. */
export async function shiplogd(flags: readonly string[] = []): Promise<TestDaemon> {
  const paths = await makePaths();
  return new TestDaemon("shiplog", paths, join(repository, "bin", "shiplogd"), [
    ...["--root", paths.root, "--state", paths.state, "--address", paths.address],
    ...flags,
  ]);
}

/**
 * The reference: Debian's containerd on a root of its own, not started yet. Its collector runs only when it is asked to, so that what is compared
 * does not depend on when it would have run. SHIPLOG_REFERENCE_CONTAINERD is the path of another containerd's binary, with its shim beside it.
 */
export async function containerd(): Promise<TestDaemon> {
  const paths = await makePaths();
  const config = join(paths.directory, "config.toml");
  await writeFile(
    config,
    `version = 2
root = "${paths.root}"
state = "${paths.state}"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "${paths.address}"
[plugins."io.containerd.internal.v1.opt"]
path = "${join(paths.directory, "opt")}"
[plugins."io.containerd.gc.v1.scheduler"]
startup_delay = "1h"
deletion_threshold = 0
mutation_threshold = 0
`,
  );
  const other = process.env.SHIPLOG_REFERENCE_CONTAINERD;
  return new TestDaemon("containerd", paths, other ?? "containerd", ["--config", config]).withEnvironment({
    // Where it leaves the images of each checkpoint that it restores from.
    XDG_RUNTIME_DIR: paths.directory,
    ...(other !== undefined && { PATH: `${dirname(other)}:${process.env.PATH}` }),
  });
}

async function answers(address: string): Promise<boolean> {
  try {
    await access(address);
  } catch {
    return false;
  }
  return new Promise((resolve) => {
    const socket = connect(address, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
