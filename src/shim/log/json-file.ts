/**
 * Docker's json-file format: one JSON object a line (moby, daemon/logger/jsonfilelog). A run of lines is encoded at once, with what stands
 * between two lines' texts in the place of each line end: several times faster than an object at a time.
 */
import { isUtf8 } from "node:buffer";
import { escapeJson, jsonText } from "./json-text.ts";
import type { LogStream, RecordEncoder, RecordSink } from "./record-encoder.ts";
import { timestampLength } from "./timestamp.ts";
import { characterEnd, withReplacements } from "./utf8.ts";

const open = Buffer.from('{"log":"');
/** JSON writes a control character in six bytes. */
const escapedBytesMax = 6;

export class JsonFileEncoder implements RecordEncoder {
  readonly recordBytesMax: number;
  /** `,"attrs":{...}` or nothing. */
  readonly #attributes: string;

  constructor(pieceBytesMax: number, attributes: Readonly<Record<string, string>>) {
    this.#attributes = Object.keys(attributes).length === 0 ? "" : `,"attrs":${JSON.stringify(attributes)}`;
    const frame = open.length + Buffer.byteLength(this.#close("stderr", "", "\\n")) + timestampLength;
    this.recordBytesMax = pieceBytesMax * escapedBytesMax + frame;
  }

  pieceEnd(bytes: Buffer, end: number): number {
    return characterEnd(bytes, end);
  }

  lines(stream: LogStream, bytes: Buffer, time: string, sink: RecordSink): void {
    const text = validText(bytes);
    const between = Buffer.from(this.#close(stream, time, "\\n") + open.toString());
    const reserve = this.recordBytesMax + 4 * between.length;
    for (let read = 0; read < text.length; ) {
      const progress = escapeJson(text, read, open.copy(jsonText), between, reserve);
      sink(jsonText.subarray(0, progress.written - open.length));
      read = progress.read;
    }
  }

  piece(stream: LogStream, bytes: Buffer, time: string, sink: RecordSink): void {
    const { written } = escapeJson(validText(bytes), 0, open.copy(jsonText), open, 0);
    sink(jsonText.subarray(0, written + jsonText.write(this.#close(stream, time, ""), written)));
  }

  #close(stream: LogStream, time: string, lineEnd: string): string {
    return `${lineEnd}","stream":"${stream}"${this.#attributes},"time":"${time}"}\n`;
  }
}

/** Valid UTF-8; three times as long at most. */
function validText(bytes: Buffer): Buffer {
  return isUtf8(bytes) ? bytes : withReplacements(bytes);
}
