/**
 * Both outputs of a process without a terminal. Owns the choice of what the process itself is given, by the scheme of stdout:
 *
 * - a client's FIFO, or a logger's pipe: that very descriptor; the shim is not in the way and costs nothing;
 * - a file, or a formatted log: a FIFO in the bundle, from which the shim carries to a sink. A file is not handed over, because a process
 *   that opens `/dev/stderr` to write, as every `echo ... > /dev/stderr` does, would cut it to nothing; `file:///path?direct=true` says that
 *   the process does no such thing.
 */
import { closeDescriptor } from "../../platform/mod.ts";
import { isFormattedLog } from "../log/log-scheme.ts";
import { type BinaryLogger, startBinaryLogger } from "./binary-logger.ts";
import { openOutput, openToAppend } from "./client-path.ts";
import { FileSink } from "./file-sink.ts";
import { openFormattedSinks } from "./formatted-output.ts";
import { type FifoStream, makeProcessFifo, removeProcessFifo, reopenProcessFifo } from "./process-fifo.ts";
import { Relay } from "./relay.ts";
import type { Sink } from "./sink.ts";
import type { StdioRequest } from "./stdio.ts";
import { parseStdioUri } from "./stdio-uri.ts";

type Output = number | "ignore";

export class Outputs {
  readonly #request: StdioRequest;
  readonly #relays: Relay[] = [];
  readonly #sinks: Sink[] = [];
  /** What is the process's, and ours only until it has it. */
  readonly #handedOver = new Set<number>();
  #logger: BinaryLogger | undefined;
  stdout: Output = "ignore";
  stderr: Output = "ignore";

  private constructor(request: StdioRequest) {
    this.#request = request;
  }

  /** Opens what a process that is about to be made prints to. @throws Error in containerd's words */
  static async open(request: StdioRequest): Promise<Outputs> {
    const outputs = new Outputs(request);
    try {
      await outputs.#open();
      return outputs;
    } catch (thrown) {
      await outputs.close();
      throw thrown;
    }
  }

  /** Goes on with what a process that was made by an earlier shim prints. @throws Error in containerd's words */
  static async resume(request: StdioRequest): Promise<Outputs> {
    const outputs = new Outputs(request);
    try {
      await outputs.#resume();
      return outputs;
    } catch (thrown) {
      await outputs.close();
      throw thrown;
    }
  }

  /** The process has its descriptors: ours would keep it from ever ending its output. */
  started(): void {
    for (const descriptor of this.#handedOver) closeDescriptor(descriptor);
    this.#handedOver.clear();
  }

  async reopen(): Promise<void> {
    for (const sink of new Set(this.#sinks)) await sink.reopen();
  }

  async drained(): Promise<void> {
    await Promise.all(this.#relays.map((relay) => relay.ended));
  }

  abandon(): void {
    for (const relay of this.#relays) relay.abandon();
  }

  async close(): Promise<void> {
    this.started();
    for (const relay of this.#relays) relay.close();
    for (const sink of this.#sinks) sink.close();
    await this.drained();
    await this.#logger?.close();
  }

  async #open(): Promise<void> {
    const { stdout, stderr } = this.#request;
    const uri = parseStdioUri(stdout);
    if (isFormattedLog(stdout)) {
      const [first, second] = await openFormattedSinks(this.#request, ["stdout", "stderr"]);
      this.#sinks.push(first!, second!);
      this.stdout = this.#carry("stdout", first!);
      this.stderr = this.#carry("stderr", second!);
      return;
    }
    switch (uri.scheme) {
      case "":
      case "fifo":
        await this.#openPaths(clientPath(stdout), clientPath(stderr), { create: false, direct: false });
        return;
      case "file":
        await this.#openPaths(uri.path, uri.path, { create: true, direct: uri.query.get("direct") === "true" });
        return;
      case "binary":
      case "binary-v2":
        this.#logger = await startBinaryLogger(uri, this.#request);
        this.stdout = this.#handOver(this.#logger.stdout);
        this.stderr = this.#handOver(this.#logger.stderr);
        return;
      default:
        throw new Error(`unknown STDIO scheme ${uri.scheme}`);
    }
  }

  async #openPaths(stdout: string, stderr: string, how: { create: boolean; direct: boolean }): Promise<void> {
    if (stdout === stderr) {
      // One FIFO for both keeps the order in which they were written.
      this.stdout = await this.#openPath("output", stdout, how);
      this.stderr = this.stdout;
    } else {
      this.stdout = await this.#openPath("stdout", stdout, how);
      this.stderr = await this.#openPath("stderr", stderr, how);
    }
  }

  async #openPath(stream: FifoStream, path: string, how: { create: boolean; direct: boolean }): Promise<Output> {
    if (path === "") return "ignore";
    const { kind, descriptor } = await openOutput(path, this.#request, how);
    if (kind === "fifo" || how.direct) return this.#handOver(descriptor);
    return this.#carry(stream, this.#fileSink(descriptor, path));
  }

  async #resume(): Promise<void> {
    const { stdout, stderr } = this.#request;
    const uri = parseStdioUri(stdout);
    if (isFormattedLog(stdout)) await this.#resumeFormatted();
    else if (uri.scheme === "file") this.#resumePath("output", uri.path);
    else if (uri.scheme === "" || uri.scheme === "fifo") {
      const [out, err] = [clientPath(stdout), clientPath(stderr)];
      this.#resumePath(out === err ? "output" : "stdout", out);
      if (out !== err) this.#resumePath("stderr", err);
    }
  }

  async #resumeFormatted(): Promise<void> {
    const streams = ["stdout", "stderr"] as const;
    const readers = streams.map((stream) => reopenProcessFifo(this.#request, stream));
    // A stream that had ended is not in the new log either.
    const left = streams.filter((_stream, index) => readers[index] !== undefined);
    try {
      this.#sinks.push(...(left.length === 0 ? [] : await openFormattedSinks(this.#request, left)));
    } catch (thrown) {
      for (const reader of readers) if (reader !== undefined) closeDescriptor(reader);
      throw thrown;
    }
    for (const [index, stream] of left.entries())
      this.#relay(stream, readers[streams.indexOf(stream)]!, this.#sinks[index]!).look();
  }

  /** The FIFO in the bundle tells by itself whether the shim carries at all: what was handed over needs nobody. */
  #resumePath(stream: FifoStream, path: string): void {
    if (path === "") return;
    const reader = reopenProcessFifo(this.#request, stream);
    if (reader !== undefined) this.#relay(stream, reader, this.#fileSink(openToAppend(path), path)).look();
  }

  #fileSink(descriptor: number, path: string): Sink {
    const sink = new FileSink(descriptor, () => openToAppend(path), this.#request.onLoss);
    this.#sinks.push(sink);
    return sink;
  }

  #handOver(descriptor: number): number {
    this.#handedOver.add(descriptor);
    return descriptor;
  }

  #carry(stream: FifoStream, sink: Sink): number {
    const { reader, writer } = makeProcessFifo(this.#request, stream, this.#request);
    this.#relay(stream, reader, sink);
    return this.#handOver(writer);
  }

  #relay(stream: FifoStream, reader: number, sink: Sink): Relay {
    const relay = new Relay(reader, sink, () => removeProcessFifo(this.#request, stream));
    this.#relays.push(relay);
    return relay;
  }
}

/** The path in `fifo:///path`, or the bare path. */
export function clientPath(text: string): string {
  const uri = parseStdioUri(text);
  return uri.scheme === "fifo" ? uri.path : text;
}
