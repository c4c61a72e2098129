/**
 * One container's log: what its process prints becomes records in a file. Owns the way from a chunk to the queue, which is synchronous; it must
 * never mix the two streams within a line.
 */
import { CriEncoder } from "./cri.ts";
import { JsonFileEncoder } from "./json-file.ts";
import { LineSplitter } from "./line-splitter.ts";
import { LogFile } from "./log-file.ts";
import { type LogOptions, parseLogUri } from "./log-options.ts";
import { LogWriter } from "./log-writer.ts";
import { type LogLoss, LossReport } from "./loss-report.ts";
import type { LogStream, RecordEncoder, RecordSink } from "./record-encoder.ts";
import { timestamp } from "./timestamp.ts";

/** Whose log it is. */
export interface LogContext {
  readonly namespace: string;
  readonly containerId: string;
  /** "" for the container's first process. */
  readonly execId: string;
  readonly terminal: boolean;
}

export interface FormattedLog {
  /**
   * Takes a chunk as it was read; the buffer is the caller's again on return. False (blocking mode only): read no more, from either stream, until
   * the writable listeners were called; the chunk itself has been taken.
   */
  write(stream: LogStream, chunk: Buffer): boolean;
  /** Adds a listener, called each time that the log becomes writable after `write` said false. Never from within `write`. */
  onWritable(listener: () => void): void;
  /** Goes on in the file that is at the log's path now, made if there is none. Resolves when nothing more goes to the old one. @throws node:fs errors */
  reopen(): Promise<void>;
  /** The stream has ended: its partial line goes out. */
  endStream(stream: LogStream): void;
  /** Ends both streams, writes what waits and closes the file. At most 8 s, after which what could not be written is counted as lost. Never rejects. */
  close(): Promise<void>;
}

/**
 * Opens the log that a `json-file://` or `cri://` URI asks for. `onLoss` is called at most once a second, and once more while the log closes.
 * @throws Error in Docker's words for an option that is unknown or wrong; Error with node:fs's as its cause when the file cannot be opened
 */
export async function openFormattedLog(
  uri: string,
  context: LogContext,
  onLoss: (loss: LogLoss) => void,
): Promise<FormattedLog> {
  const options = parseLogUri(uri, context.containerId);
  const encoder = encoderFor(options);
  const loss = new LossReport(onLoss);
  const onTorn = (bytes: number): void => loss.add("a record was torn when its writer was killed", bytes, 1);
  let file: LogFile;
  try {
    file = await LogFile.open({ ...options, recordBytesMax: encoder.recordBytesMax, onTorn });
  } catch (cause) {
    throw new Error(`failed to open log file ${options.path}: ${(cause as Error).message}`, { cause });
  }
  return new FileLog(options, encoder, file, loss);
}

function encoderFor({ format, maxLineSize, attributes }: LogOptions): RecordEncoder {
  return format === "cri" ? new CriEncoder(maxLineSize) : new JsonFileEncoder(maxLineSize, attributes);
}

class FileLog implements FormattedLog {
  readonly #splitters: Readonly<Record<LogStream, LineSplitter>>;
  readonly #writer: LogWriter;
  readonly #loss: LossReport;
  readonly #listeners: (() => void)[] = [];
  #time = "";
  #closed: Promise<void> | undefined;

  constructor(options: LogOptions, encoder: RecordEncoder, file: LogFile, loss: LossReport) {
    const writable = () => {
      for (const listener of this.#listeners) listener();
    };
    this.#writer = new LogWriter(file, options, loss, writable);
    this.#loss = loss;
    const sink: RecordSink = (records) => this.#writer.append(records);
    const splitter = (stream: LogStream) =>
      new LineSplitter(options.maxLineSize, encoder.pieceEnd, {
        lines: (bytes) => encoder.lines(stream, bytes, this.#time, sink),
        piece: (bytes) => encoder.piece(stream, bytes, this.#time, sink),
      });
    this.#splitters = { stdout: splitter("stdout"), stderr: splitter("stderr") };
  }

  write(stream: LogStream, chunk: Buffer): boolean {
    if (this.#closed !== undefined) throw new Error("write to a log that is closed");
    this.#time = timestamp();
    this.#splitters[stream].push(chunk);
    return this.#writer.writable();
  }

  onWritable(listener: () => void): void {
    this.#listeners.push(listener);
  }

  reopen(): Promise<void> {
    return this.#writer.reopen();
  }

  endStream(stream: LogStream): void {
    this.#time = timestamp();
    this.#splitters[stream].end();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.endStream("stdout");
    this.endStream("stderr");
    await this.#writer.close();
    this.#loss.flush();
  }
}
