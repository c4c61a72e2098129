/** A shiplogd of the demo's own: a child process with everything it keeps in one temporary folder. */
import { type ChildProcess, spawn } from "node:child_process";
import { on, once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../bin/shiplogd", import.meta.url));

const readyMsMax = 20_000;
const stopMsMax = 10_000;
/** Lines of the daemon's own log that are kept to explain a failure. */
const logLinesMax = 20;

export class DemoDaemon {
  readonly address: string;
  readonly state: string;
  readonly #flags: readonly string[];
  readonly #log: string[] = [];
  #child: ChildProcess | undefined;
  #stopped = false;

  /** @param folder holds root, state and socket. */
  constructor(folder: string) {
    this.address = join(folder, "shiplog.sock");
    this.state = join(folder, "state");
    this.#flags = ["--root", join(folder, "root"), "--state", this.state, "--address", this.address];
  }

  /** Starts it, also again on what an earlier one left; resolves once it serves. @throws Error when it ends or takes too long. */
  async start(): Promise<void> {
    if (this.#stopped) throw new Error("shiplogd was stopped for good");
    // A process group of its own: Ctrl-C is the demo's to handle, which then stops the daemon in order.
    const child = spawn(program, this.#flags, { stdio: ["ignore", "ignore", "pipe"], detached: true });
    this.#child = child;
    const lines = createInterface({ input: child.stderr! });
    lines.on("line", (line) => {
      this.#log.push(line);
      if (this.#log.length > logLinesMax) this.#log.shift();
    });
    const limit = AbortSignal.timeout(readyMsMax);
    try {
      for await (const [line] of on(lines, "line", { close: ["close"], signal: limit })) {
        if (/"msg":"ready"/.test(line)) return;
      }
    } catch (error) {
      throw new Error(`shiplogd was not ready within ${readyMsMax / 1000} s`, { cause: error });
    }
    throw new Error("shiplogd ended at its start");
  }

  /** The end of the daemon's own log. */
  lastLines(): string {
    return this.#log.map((line) => `  ${line}`).join("\n");
  }

  /** Ends it without a chance to do anything about it. */
  async crash(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Stops it in order, by force when that takes too long; it cannot be started again. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const force = setTimeout(() => this.#child?.kill("SIGKILL"), stopMsMax);
    await this.#end("SIGTERM");
    clearTimeout(force);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  }
}
