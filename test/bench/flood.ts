/** Containers that write a known text to their standard output as fast as they can, from the moment that they are told to, and then stay until they are told to end. */
import { execFile } from "node:child_process";
import { type FileHandle, mkdir, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const COPY_BYTES = 64 * 1024 * 1024;
const words = ["begin", "end"] as const;
type Word = (typeof words)[number];

/** One of an access log, with quotes, of some 120 bytes. */
const line = (number: number) =>
  `2026-03-01T08:00:00Z INFO  request id=${number} path="/api/v1/items/${number % 100}" status=200 duration=12.3ms agent="curl/8.0"\n`;

export class Flood {
  /** What the container has at `/bench`. */
  readonly directory: string;
  readonly args: readonly string[];
  /** Of output. */
  readonly bytes: number;
  readonly #fifos: Readonly<Record<Word, FileHandle>>;

  private constructor(directory: string, copies: number, bytes: number, fifos: Readonly<Record<Word, FileHandle>>) {
    this.directory = directory;
    this.bytes = bytes;
    this.#fifos = fifos;
    const all = Array.from({ length: copies }, () => "/bench/lines").join(" ");
    this.args = ["sh", "-c", `read word < /bench/begin; cat ${all}; read word < /bench/end`];
  }

  /** Makes the directory, with `copies` times 64 MiB of text to write. Closed by its owner. */
  static async open(directory: string, copies: number): Promise<Flood> {
    await mkdir(directory);
    let text = "";
    for (let number = 0; text.length < COPY_BYTES; number++) text += line(number);
    await writeFile(join(directory, "lines"), text);
    const paths = words.map((word) => join(directory, word));
    await promisify(execFile)("mkfifo", paths);
    // Open to read as well, which waits for nobody; and what is written stays until the container reads it.
    const [begin, end] = await Promise.all(paths.map((path) => open(path, "r+")));
    return new Flood(directory, copies, text.length * copies, { begin: begin!, end: end! });
  }

  /** Lets the one container that waits begin, or end when it has written all. */
  async tell(word: Word): Promise<void> {
    await this.#fifos[word].write("\n");
  }

  async close(): Promise<void> {
    for (const word of words) await this.#fifos[word].close();
  }
}
