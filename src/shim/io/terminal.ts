/**
 * The streams of a process with a terminal. Owns the terminal's master: what the process prints is carried to where stdout names, however
 * slowly that takes it, and the client's input is carried the other way. When the shim dies the terminal is hung up; nobody else has its
 * master.
 */
import { closeDescriptor, duplicateDescriptor, setBlocking, setWindowSize } from "../../platform/mod.ts";
import { isFormattedLog } from "../log/log-scheme.ts";
import { type BinaryLogger, startBinaryLogger } from "./binary-logger.ts";
import { openOutput, openToAppend } from "./client-path.ts";
import { Console } from "./console.ts";
import { DescriptorSink } from "./descriptor-sink.ts";
import { FileSink } from "./file-sink.ts";
import { openFormattedSinks } from "./formatted-output.ts";
import { clientPath } from "./outputs.ts";
import { Relay } from "./relay.ts";
import { discard, type Sink } from "./sink.ts";
import { Stdin } from "./stdin.ts";
import type { ProcessStdio, StdioRequest } from "./stdio.ts";
import { parseStdioUri } from "./stdio-uri.ts";

export class Terminal implements ProcessStdio {
  readonly descriptors = ["ignore", "ignore", "ignore"] as const;
  readonly #console: Console;
  readonly #stdin: Stdin;
  readonly #sink: Sink;
  readonly #logger: BinaryLogger | undefined;
  readonly #drained = Promise.withResolvers<void>();
  #relay: Relay | undefined;
  /** For the terminal's size; closed as soon as the terminal is at its end. */
  #control: number | undefined;

  private constructor(console: Console, stdin: Stdin, { sink, logger }: TerminalOutput) {
    this.#console = console;
    this.#stdin = stdin;
    this.#sink = sink;
    this.#logger = logger;
  }

  /** @throws Error in containerd's words */
  static async open(request: StdioRequest): Promise<Terminal> {
    let console: Console;
    try {
      console = new Console(request.bundle);
    } catch (cause) {
      throw new Error(`failed to create OCI runtime console socket: ${(cause as Error).message}`, { cause });
    }
    let stdin: Stdin | undefined;
    try {
      stdin = new Stdin(request.stdin);
      return new Terminal(console, stdin, await openTerminalOutput(request));
    } catch (thrown) {
      console.close();
      stdin?.close();
      throw thrown;
    }
  }

  get consoleSocket(): string {
    return this.#console.path;
  }

  get drained(): Promise<void> {
    return this.#drained.promise;
  }

  async started(): Promise<void> {
    const master = await this.#console.master();
    this.#control = duplicateDescriptor(master);
    const input = duplicateDescriptor(master);
    const relay = new Relay(master, this.#sink, () => {
      this.#closeControl();
      this.#stdin.close();
    });
    this.#relay = relay;
    void relay.ended.then(this.#drained.resolve);
    // As with containerd, the end of a terminal's input is its end: whoever still runs there is told by SIGHUP.
    this.#stdin.toTerminal(input, () => {
      this.#closeControl();
      relay.finish();
    });
  }

  closeStdin(): void {
    this.#stdin.closeHolder();
  }

  resize(width: number, height: number): void {
    if (this.#control !== undefined) setWindowSize(this.#control, width, height);
  }

  reopenLogs(): Promise<void> {
    return this.#sink.reopen();
  }

  abandon(): void {
    this.#relay?.abandon();
  }

  async close(): Promise<void> {
    this.#console.close();
    this.#closeControl();
    this.#relay?.close();
    this.#stdin.close();
    this.#sink.close();
    await this.#relay?.ended;
    this.#drained.resolve();
    await this.#logger?.close();
  }

  #closeControl(): void {
    if (this.#control !== undefined) closeDescriptor(this.#control);
    this.#control = undefined;
  }
}

interface TerminalOutput {
  readonly sink: Sink;
  readonly logger?: BinaryLogger;
}

async function openTerminalOutput(request: StdioRequest): Promise<TerminalOutput> {
  try {
    return await openByScheme(request);
  } catch (cause) {
    throw new Error(`failed to start console copy: ${(cause as Error).message}`, { cause });
  }
}

async function openByScheme(request: StdioRequest): Promise<TerminalOutput> {
  const { stdout } = request;
  if (stdout === "") return { sink: discard };
  if (isFormattedLog(stdout)) {
    const [sink] = await openFormattedSinks(request, ["stdout"]);
    return { sink: sink! };
  }
  const uri = parseStdioUri(stdout);
  switch (uri.scheme) {
    case "":
    case "fifo":
      return { sink: await openPath(clientPath(stdout), false, request) };
    case "file":
      return { sink: await openPath(uri.path, true, request) };
    case "binary":
    case "binary-v2": {
      const logger = await startBinaryLogger(uri, request);
      // A terminal has one output.
      closeDescriptor(logger.stderr);
      setBlocking(logger.stdout, false);
      return { sink: new DescriptorSink(logger.stdout), logger };
    }
    default:
      throw new Error(`unknown STDIO scheme ${uri.scheme}`);
  }
}

async function openPath(path: string, create: boolean, request: StdioRequest): Promise<Sink> {
  const { kind, descriptor } = await openOutput(path, request, { create });
  if (kind === "file") return new FileSink(descriptor, () => openToAppend(path), request.onLoss);
  setBlocking(descriptor, false);
  return new DescriptorSink(descriptor);
}
