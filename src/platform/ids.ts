/**
 * Random names. Owns the source of every id that is not given by a client, so that a test can put a predictable one in its place.
 * It must never derive an id from the time or from a counter: ids made before and after a restart may not meet.
 */

/** Where random names come from. */
export interface Ids {
  /** Names one request in the log: 20 lower-case hex digits, 80 random bits. */
  request(): string;
  /** Names a directory or a file that nothing else names: 16 lower-case hex digits, 64 random bits. */
  directory(): string;
  /** RFC 9562 version 4, 36 characters, lower case. */
  uuid(): string;
}

/** Loaded at the first id: a shim makes none, and loading it is a good part of its start. */
const crypto = () => process.getBuiltinModule("node:crypto");

const pool = Buffer.allocUnsafeSlow(4096);
let used = pool.length;

/** Asking the kernel once per 4096 bytes keeps a request id under a microsecond. */
function hex(bytes: number): string {
  if (used + bytes > pool.length) {
    crypto().randomFillSync(pool);
    used = 0;
  }
  const text = pool.toString("hex", used, used + bytes);
  used += bytes;
  return text;
}

export const randomIds: Ids = {
  request: () => hex(10),
  directory: () => hex(8),
  uuid: () => crypto().randomUUID(),
};
