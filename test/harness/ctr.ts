/** The unmodified `ctr` of Debian's containerd package, pointed at one daemon. */
import { execFile, spawn } from "node:child_process";
import { eventually } from "./eventually.ts";

export interface CtrResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const TIMEOUT_MS = 60_000;

/** Runs one command to its end. */
export function ctr(address: string, namespace: string, args: readonly string[]): Promise<CtrResult> {
  return new Promise((resolve) => {
    const env = { PATH: process.env.PATH, HOME: "/root", CONTAINERD_ADDRESS: address, CONTAINERD_NAMESPACE: namespace };
    execFile("ctr", args, { env, timeout: TIMEOUT_MS, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
  });
}

/** `ctr events`, from the moment that it is known to listen. */
export class CtrEvents {
  readonly #child;
  readonly #lines: string[] = [];

  private constructor(address: string) {
    this.#child = spawn("ctr", ["events"], {
      env: { PATH: process.env.PATH, CONTAINERD_ADDRESS: address },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let rest = "";
    this.#child.stdout.on("data", (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split("\n");
      rest = lines.pop() ?? "";
      this.#lines.push(...lines);
    });
  }

  /** Subscribing is never acknowledged, so namespaces are made and removed until the stream shows one. */
  static async start(address: string): Promise<CtrEvents> {
    const events = new CtrEvents(address);
    await eventually("ctr events shows an event", async () => {
      await events.#probe(address, "probe-start");
      return events.#lines.length > 0 ? true : undefined;
    });
    return events;
  }

  /** Resolves when a line that matches has come through. */
  async shows(line: RegExp): Promise<void> {
    await eventually(`ctr events shows ${line}`, () => this.#lines.some((each) => line.test(each)) || undefined);
  }

  /** Ends the stream, whatever has come through of it. */
  stop(): void {
    this.#child.kill("SIGTERM");
  }

  /** Every line so far, without the probes, once everything published before this call has come through. */
  async end(address: string): Promise<readonly string[]> {
    try {
      await this.#probe(address, "probe-end");
      await eventually("ctr events catches up", () =>
        this.#lines.some((line) => line.includes("probe-end")) ? true : undefined,
      );
    } finally {
      this.stop();
    }
    return this.#lines.filter((line) => !line.includes("probe-"));
  }

  async #probe(address: string, name: string): Promise<void> {
    await ctr(address, "default", ["namespaces", "create", name]);
    await ctr(address, "default", ["namespaces", "rm", name]);
  }
}
