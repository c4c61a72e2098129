/** What the tests of the log share: a root on a real disk, facts, and files whose calls can be counted and made to fail. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import fc from "fast-check";
import { type Data, type Fact, Log, type LogOptions, type NewFact } from "../../src/events/mod.ts";
import { type FileHandle, Files } from "../../src/platform/files.ts";

/** A directory of the test's own, removed when it ends. */
export async function temporaryRoot(t: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "shiplog-events-"));
  t.after(() => rm(root, { recursive: true, force: true }));
  return root;
}

/** Opens a log with small segments, whose failure fails the test unless it says otherwise. */
export function openLog(root: string, options: Partial<LogOptions> = {}): Promise<Log> {
  return Log.open({
    root,
    segmentBytes: 16 * 1024,
    onFatal(error) {
      throw error;
    },
    ...options,
  });
}

export function someFact(number: number, data: unknown = { number }): NewFact {
  return {
    time: 1_700_000_000_000_000_000n + BigInt(number),
    namespace: "default",
    stream: "task/redis",
    version: number,
    type: "TaskStarted",
    schema: 1,
    principal: { uid: 0, gid: 0, pid: 1 },
    request: "00112233445566778899",
    data,
  };
}

/** Appends facts numbered by their positions, `perAppend` at a time, each append in a frame of its own. */
export async function appendMany(log: Log, count: number, perAppend = 1): Promise<void> {
  for (let appended = 0; appended < count; appended += perAppend) {
    await log.durable(log.append(Array.from({ length: perAppend }, (_, index) => someFact(log.next + index))) + perAppend);
  }
}

export async function readAll(source: AsyncIterable<readonly Fact[]>): Promise<Fact[]> {
  return (await Array.fromAsync(source)).flat();
}

/** What `appendMany` has appended, as it must come back. */
export function numbered(from: number, to: number): Fact[] {
  return Array.from({ length: to - from }, (_, index) => ({ ...someFact(from + index), position: from + index }));
}

/** The segment files of a log in order, as paths. */
export async function segmentFiles(root: string): Promise<string[]> {
  const names = await readdir(join(root, "log"));
  return names.filter((name) => name.endsWith(".log")).sort().map((name) => join(root, "log", name));
}

/** A fact's value as plain data that `deepStrictEqual` can compare: bytes are bytes, whatever class they came in. */
export function comparable(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString("hex") };
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== "object" || value === null) return Object.is(value, -0) ? 0 : value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .map(([key, field]) => [key, comparable(field)]),
  );
}

const awkwardKeys = ["constructor", "toJSON", "hasOwnProperty", "valueOf", "then", "length", "1", "", "io.containerd/x"];
const key = fc.oneof(fc.string({ unit: "grapheme", maxLength: 40 }), fc.constantFrom(...awkwardKeys)).filter((name) => name !== "__proto__");
const text = fc.oneof(fc.string({ unit: "grapheme", maxLength: 200 }), fc.string({ unit: "binary", maxLength: 100 }).map((s) => s.toWellFormed()));

export const arbitraryData: fc.Arbitrary<Data> = fc.letrec<{ data: Data }>((tie) => ({
  data: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
    text,
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie("data"), { maxLength: 20 }),
    fc.dictionary(key, tie("data"), { maxKeys: 20 }),
    fc.dictionary(key, fc.constant(undefined), { maxKeys: 2, noNullPrototype: true }),
  ),
})).data;

export const arbitraryFact: fc.Arbitrary<NewFact> = fc.record(
  {
    time: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
    namespace: text,
    stream: text,
    version: fc.maxSafeNat(),
    type: text,
    schema: fc.integer({ min: 1, max: 1000 }),
    principal: fc.record(
      { uid: fc.nat(), gid: fc.nat({ max: 0xffff_ffff }), pid: fc.nat(), client: text },
      { requiredKeys: ["uid", "gid", "pid"], noNullPrototype: true },
    ),
    request: text,
    cause: fc.maxSafeNat(),
    data: arbitraryData,
  },
  { requiredKeys: ["time", "namespace", "stream", "version", "type", "schema", "principal", "request", "data"], noNullPrototype: true },
);

/** Counts calls by operation, and lets the `n`-th call of one operation fail, before it is made. */
export class Faults {
  readonly calls = new Map<string, number>();
  fired = false;
  #operation: string | undefined;
  #n = 0;

  failAt(operation: string, n: number): this {
    this.#operation = operation;
    this.#n = n;
    return this;
  }

  readonly hook = (operation: string): void => {
    const calls = (this.calls.get(operation) ?? 0) + 1;
    this.calls.set(operation, calls);
    if (operation !== this.#operation || calls !== this.#n) return;
    this.fired = true;
    throw Object.assign(new Error(`injected: ${operation} ${calls}`), { code: "EIO" });
  };
}

/** Like `Faults`, but the failing call is a write that has written half its bytes. */
export class TornWrites extends Files {
  readonly #faults: Faults;

  constructor(faults: Faults) {
    super();
    this.#faults = faults;
  }

  override async write(operation: string, handle: FileHandle, buffer: Uint8Array, offset: number): Promise<void> {
    try {
      this.#faults.hook(operation);
    } catch (error) {
      await super.write(operation, handle, buffer.subarray(0, buffer.length >> 1), offset);
      throw error;
    }
    await super.write(operation, handle, buffer, offset);
  }
}
