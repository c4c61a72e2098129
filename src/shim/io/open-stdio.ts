/**
 * The streams of one process: opened before the OCI runtime makes it, or taken up again where an earlier shim left them. Owns the
 * composition of stdin, outputs and terminal; each of them owns its descriptors.
 */
import { Outputs } from "./outputs.ts";
import { Stdin } from "./stdin.ts";
import type { ProcessStdio, StdioRequest } from "./stdio.ts";

/**
 * Opens the streams of a process that is about to be made. A client's FIFO is waited for at most 30 s, as containerd's shim does.
 * @throws Error in the words of containerd's shim; nothing is left open then
 */
export async function openStdio(request: StdioRequest): Promise<ProcessStdio> {
  if (request.terminal) return openTerminal(request);
  const stdin = new Stdin(request.stdin);
  let outputs: Outputs | undefined;
  try {
    outputs = await Outputs.open(request);
    return new Streams(stdin, outputs, [stdin.toPipe(request), outputs.stdout, outputs.stderr]);
  } catch (cause) {
    stdin.close();
    await outputs?.close();
    throw new Error(`failed to create init process I/O: ${(cause as Error).message}`, { cause });
  }
}

/** Loaded for the first terminal: few containers have one. */
async function openTerminal(request: StdioRequest): Promise<ProcessStdio> {
  const { Terminal } = await import("./terminal.ts");
  return Terminal.open(request);
}

/**
 * Takes up the output of a process that runs, or has ended, without a shim. What it was given directly needs nobody. Its input has ended with
 * the earlier shim, and a terminal was hung up: both stay so.
 * @throws Error in the words of containerd's shim
 */
export async function resumeStdio(request: StdioRequest): Promise<ProcessStdio> {
  const outputs = request.terminal ? undefined : await Outputs.resume(request);
  return new Streams(undefined, outputs, ["ignore", "ignore", "ignore"]);
}

class Streams implements ProcessStdio {
  readonly descriptors: ProcessStdio["descriptors"];
  readonly consoleSocket = undefined;
  readonly drained: Promise<void>;
  readonly #stdin: Stdin | undefined;
  readonly #outputs: Outputs | undefined;

  constructor(stdin: Stdin | undefined, outputs: Outputs | undefined, descriptors: ProcessStdio["descriptors"]) {
    this.#stdin = stdin;
    this.#outputs = outputs;
    this.descriptors = descriptors;
    this.drained = outputs?.drained() ?? Promise.resolve();
  }

  async started(): Promise<void> {
    this.#stdin?.started();
    this.#outputs?.started();
  }

  closeStdin(): void {
    this.#stdin?.closeHolder();
  }

  resize(): void {}

  async reopenLogs(): Promise<void> {
    await this.#outputs?.reopen();
  }

  abandon(): void {
    this.#outputs?.abandon();
  }

  async close(): Promise<void> {
    this.#stdin?.close();
    await this.#outputs?.close();
  }
}
