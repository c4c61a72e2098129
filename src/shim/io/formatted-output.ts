/** A formatted log as sinks, one for each stream of a process. Owns the log and when it is closed: once both streams are. */
import type { FormattedLog } from "../log/mod.ts";
import type { Sink } from "./sink.ts";
import type { StdioRequest } from "./stdio.ts";

type Stream = "stdout" | "stderr";

/** Opens the log that the request's stdout names, and makes a sink of it for each of `streams`, in their order. @throws Error as openFormattedLog does */
export async function openFormattedSinks(request: StdioRequest, streams: readonly Stream[]): Promise<Sink[]> {
  const { namespace, containerId, execId, terminal } = request;
  const context = { namespace, containerId, execId, terminal };
  // Loaded for the first: most shims format nothing, and it is a tenth of a start.
  const { openFormattedLog } = await import("../log/mod.ts");
  const log = await openFormattedLog(request.stdout, context, request.onLoss ?? (() => {}));
  const open = new Set(streams);
  const closeLast = async (stream: Stream) => {
    open.delete(stream);
    if (open.size === 0) await log.close();
  };
  return streams.map((stream) => new FormattedSink(log, stream, closeLast));
}

class FormattedSink implements Sink {
  readonly #log: FormattedLog;
  readonly #stream: Stream;
  readonly #closeLast: (stream: Stream) => Promise<void>;
  #ended: Promise<void> | undefined;
  #isHeld = false;
  #writable: () => void = () => {};

  constructor(log: FormattedLog, stream: Stream, closeLast: (stream: Stream) => Promise<void>) {
    this.#log = log;
    this.#stream = stream;
    this.#closeLast = closeLast;
    log.onWritable(() => {
      if (!this.#isHeld) return;
      this.#isHeld = false;
      this.#writable();
    });
  }

  write(chunk: Buffer): boolean {
    if (this.#ended !== undefined) return true;
    this.#isHeld = !this.#log.write(this.#stream, chunk);
    return !this.#isHeld;
  }

  onWritable(listener: () => void): void {
    this.#writable = listener;
  }

  end(): Promise<void> {
    if (this.#ended === undefined) {
      this.#log.endStream(this.#stream);
      this.#ended = this.#closeLast(this.#stream);
    }
    return this.#ended;
  }

  reopen(): Promise<void> {
    return this.#log.reopen();
  }

  /** The log bounds by itself how long it tries. */
  close(): void {
    void this.end();
  }
}
