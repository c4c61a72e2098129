/**
 * The format of Kubernetes' container logs: `<time> <stream> <P|F> <bytes>` (the CRI's, read by the kubelet). The bytes are the container's
 * own, whatever they are: text is handled in strings of one byte a character, which change none.
 */
import type { LogStream, RecordEncoder, RecordSink } from "./record-encoder.ts";
import { timestampLength } from "./timestamp.ts";

const header = (stream: LogStream, tag: "F" | "P", time: string): string => `${time} ${stream} ${tag} `;

export class CriEncoder implements RecordEncoder {
  readonly recordBytesMax: number;

  constructor(pieceBytesMax: number) {
    this.recordBytesMax = timestampLength + header("stderr", "F", "").length + pieceBytesMax + 1;
  }

  pieceEnd(_bytes: Buffer, end: number): number {
    return end;
  }

  lines(stream: LogStream, bytes: Buffer, time: string, sink: RecordSink): void {
    const head = header(stream, "F", time);
    const text = bytes.toString("latin1", 0, bytes.length - 1);
    sink(Buffer.from(`${head}${text.replaceAll("\n", `\n${head}`)}\n`, "latin1"));
  }

  piece(stream: LogStream, bytes: Buffer, time: string, sink: RecordSink): void {
    sink(Buffer.from(`${header(stream, "P", time)}${bytes.toString("latin1")}\n`, "latin1"));
  }
}
