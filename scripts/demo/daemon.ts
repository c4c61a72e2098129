/** A shiplogd of the demo's own: a child process with everything it keeps in one temporary folder. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
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
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #log: string[] = [];
  readonly #ready = Promise.withResolvers<void>();

  /** @param folder holds root, state and socket. */
  constructor(folder: string) {
    this.address = join(folder, "shiplog.sock");
    const flags = ["--root", join(folder, "root"), "--state", join(folder, "state"), "--address", this.address];
    // A process group of its own: Ctrl-C is the demo's to handle, which then stops the daemon in order.
    this.#child = spawn(program, flags, { stdio: ["ignore", "ignore", "pipe"], detached: true });
    this.#exited = Promise.race([once(this.#child, "exit"), once(this.#child, "error")]);
    createInterface({ input: this.#child.stderr! }).on("line", (line) => this.#read(line));
  }

  #read(line: string): void {
    this.#log.push(line);
    if (this.#log.length > logLinesMax) this.#log.shift();
    if (/"msg":"ready"/.test(line)) this.#ready.resolve();
  }

  /** Resolves once it serves. @throws Error when it ends or takes too long; `lastLines` may say why. */
  async ready(): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new Error(`it was not ready within ${readyMsMax / 1000} s`)), readyMsMax);
    const ended = this.#exited.then(() => {
      throw new Error("it ended");
    });
    try {
      await Promise.race([this.#ready.promise, ended, late.promise]);
    } catch (error) {
      throw new Error(`shiplogd did not start: ${(error as Error).message}`, { cause: error });
    } finally {
      clearTimeout(timer);
      ended.catch(() => undefined);
    }
  }

  /** The end of the daemon's own log. */
  lastLines(): string {
    return this.#log.map((line) => `  ${line}`).join("\n");
  }

  /** Stops it in order; by force when that takes too long. */
  async stop(): Promise<void> {
    if (this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const force = setTimeout(() => this.#child.kill("SIGKILL"), stopMsMax);
    this.#child.kill("SIGTERM");
    await this.#exited;
    clearTimeout(force);
  }
}
