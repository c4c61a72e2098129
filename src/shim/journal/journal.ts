/**
 * The journal of one container: `shim.journal` in its bundle, a JSON line per record, so that whoever comes after a dead shim knows what it knew.
 *
 * Owns the file and the right to write to it, which one process at a time has. A line that a crash cut short is taken for never written; anything
 * else that cannot be read is an error, never passed over. It makes no sense of what it keeps.
 *
 * Line: {"n": the record's number, "type": ..., ...}. The file is made shorter by being replaced, never changed in place.
 */
import {
  closeSync,
  constants,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { errorCode, type OperationHook, proceed, tryLock } from "../../platform/mod.ts";
import { type JournalEntry, type JournalRecord, withoutSettled } from "./record.ts";

const fileName = "shim.journal";

/** From this size on the journal is made shorter, or from twice the size that it then still had. */
const compactBytesMin = 64 * 1024;

/** How often the file may be replaced by its holder between being opened and locked here. */
const openAttemptsMax = 8;

/** Without node:util, which would be a good part of a shim's start. */
const sync = (descriptor: number): Promise<void> =>
  new Promise((resolve, reject) => {
    fdatasync(descriptor, (error) => (error === null ? resolve() : reject(error)));
  });

/** Another process writes to the journal: the shim that serves this container lives. */
export class JournalHeld extends Error {
  override readonly name = "JournalHeld";
}

/** A line that is neither a record nor the rest of an unfinished write. */
export class JournalCorrupt extends Error {
  override readonly name = "JournalCorrupt";
}

export class Journal {
  readonly #path: string;
  readonly #hook: OperationHook;
  #descriptor: number;
  #entries: JournalEntry[];
  #bytes: number;
  #compactAt: number;
  #next: number;
  #syncing = 0;
  #closed = false;

  /**
   * Opens the bundle's journal for writing, makes it where there is none, and cuts an unfinished last line.
   * @throws JournalHeld, JournalCorrupt, Error of the file system
   */
  static async open(bundle: string, hook: OperationHook = proceed): Promise<Journal> {
    const path = join(bundle, fileName);
    const descriptor = openLocked(path, hook);
    try {
      const { entries, wholeBytes, bytes } = parse(readFileSync(path), path);
      if (bytes > wholeBytes) ftruncateSync(descriptor, wholeBytes);
      return new Journal(path, hook, descriptor, entries, wholeBytes);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  private constructor(path: string, hook: OperationHook, descriptor: number, entries: JournalEntry[], bytes: number) {
    this.#path = path;
    this.#hook = hook;
    this.#descriptor = descriptor;
    this.#entries = entries;
    this.#bytes = bytes;
    this.#compactAt = Math.max(compactBytesMin, 2 * bytes);
    this.#next = (entries.at(-1)?.number ?? -1) + 1;
  }

  /** Every record that is still of use, in order. */
  get entries(): readonly JournalEntry[] {
    return this.#entries;
  }

  /**
   * Appends a record and resolves with its number: once it is in the file, so that it outlives this process, or with `durable` once it is on the
   * disk. Records are in the order of the calls.
   * @throws Error of the file system; the journal is then as before, or unsynced, and goes on
   */
  async append(record: JournalRecord, { durable = false }: { readonly durable?: boolean } = {}): Promise<number> {
    if (this.#closed) throw new Error(`append to ${this.#path}: it is closed`);
    const number = this.#next;
    const line = encode({ number, record });
    this.#hook("journal.write");
    this.#write(line);
    this.#bytes += line.length;
    this.#next = number + 1;
    this.#entries.push({ number, record });
    if (durable) await this.#sync();
    if (this.#bytes > this.#compactAt && this.#syncing === 0 && !this.#closed) this.#compact();
    return number;
  }

  /** True once it was given up: nothing can be appended. */
  get isClosed(): boolean {
    return this.#closed;
  }

  /** Gives the journal up; another process may then open it. Resolves when what was appended is written. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    while (this.#syncing > 0) await new Promise((resolve) => setImmediate(resolve));
    closeSync(this.#descriptor);
  }

  /** All of the line or nothing of it, as far as the file system lets. */
  #write(line: Buffer): void {
    try {
      let written = 0;
      while (written < line.length) {
        written += writeSync(this.#descriptor, line, written, line.length - written, this.#bytes + written);
      }
    } catch (error) {
      ftruncateSync(this.#descriptor, this.#bytes);
      throw error;
    }
  }

  async #sync(): Promise<void> {
    this.#syncing++;
    try {
      this.#hook("journal.fdatasync");
      await sync(this.#descriptor);
    } finally {
      this.#syncing--;
    }
  }

  /** Replaces the file by one without what is settled. The new one is locked before it has the name: nobody gets in between. */
  #compact(): void {
    const entries = withoutSettled(this.#entries);
    const bytes = Buffer.concat(entries.map(encode));
    const temporary = `${this.#path}.new`;
    const descriptor = openSync(temporary, constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC, 0o600);
    try {
      tryLock(descriptor);
      this.#hook("journal.compact");
      for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written);
      fdatasyncSync(descriptor);
      renameSync(temporary, this.#path);
    } catch {
      // The old file is whole and still this one's; the next append tries again when there is twice as much.
      closeSync(descriptor);
      this.#compactAt = 2 * this.#bytes;
      return;
    }
    closeSync(this.#descriptor);
    this.#descriptor = descriptor;
    this.#entries = entries;
    this.#bytes = bytes.length;
    this.#compactAt = Math.max(compactBytesMin, 2 * bytes.length);
  }
}

/** The records in the bundle's journal, read without a right to write; undefined when there is no journal. @throws JournalCorrupt */
export function readJournal(bundle: string): readonly JournalEntry[] | undefined {
  const path = join(bundle, fileName);
  try {
    return parse(readFileSync(path), path).entries;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function openLocked(path: string, hook: OperationHook): number {
  hook("journal.open");
  for (let attempt = 0; attempt < openAttemptsMax; attempt++) {
    const descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    try {
      if (!tryLock(descriptor)) throw new JournalHeld(`open ${path}: another process writes to it`);
      if (fstatSync(descriptor).ino === statSync(path, { throwIfNoEntry: false })?.ino) return descriptor;
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    // Its holder replaced the file and ended, both since it was opened here.
    closeSync(descriptor);
  }
  throw new JournalHeld(`open ${path}: it was replaced ${openAttemptsMax} times`);
}

function encode({ number, record }: JournalEntry): Buffer {
  return Buffer.from(`${JSON.stringify({ n: number, ...record })}\n`);
}

/** `wholeBytes` is where the last whole line ends. */
function parse(bytes: Buffer, path: string): { entries: JournalEntry[]; wholeBytes: number; bytes: number } {
  const wholeBytes = bytes.lastIndexOf("\n") + 1;
  const lines = bytes.toString("utf8", 0, wholeBytes).split("\n").slice(0, -1);
  const entries: JournalEntry[] = [];
  for (const [index, line] of lines.entries()) {
    const entry = entryOf(line);
    const previous = entries.at(-1)?.number ?? -1;
    if (entry === undefined || entry.number <= previous) {
      throw new JournalCorrupt(`read ${path}: line ${index + 1} is no record: ${JSON.stringify(line.slice(0, 200))}`);
    }
    entries.push(entry);
  }
  return { entries, wholeBytes, bytes: bytes.length };
}

function entryOf(line: string): JournalEntry | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof parsed !== "object" || parsed === null || !("n" in parsed) || !("type" in parsed)) return undefined;
  const { n: number, ...record } = parsed as { n: unknown; type: unknown };
  if (typeof number !== "number" || !Number.isSafeInteger(number) || number < 0 || typeof record.type !== "string")
    return undefined;
  return { number, record: record as JournalRecord };
}
