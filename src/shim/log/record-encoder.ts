/** The names of a process's two outputs, as they stand in records. */
export type LogStream = "stdout" | "stderr";

/** Takes whole records; the buffer is the sink's during the call only. */
export type RecordSink = (records: Buffer) => void;

/** A format. Every record ends with "\n" and has none before its end. */
export interface RecordEncoder {
  /** No record of the format is longer, in bytes. */
  readonly recordBytesMax: number;
  /** Where a piece of a line may end that is cut at `end`. */
  pieceEnd(bytes: Buffer, end: number): number;
  /** Lines that each end with "\n". */
  lines(stream: LogStream, bytes: Buffer, time: string, sink: RecordSink): void;
  /** A piece of a line that goes on in the stream's next record, if there is one. */
  piece(stream: LogStream, bytes: Buffer, time: string, sink: RecordSink): void;
}
