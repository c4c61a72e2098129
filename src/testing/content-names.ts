/**
 * Content by name, so that commands can be read and two runtimes compared. A text is a word whose letters are pieces of equal length;
 * `@ab` is the digest of the text `ab`, `@0` that of nothing. The bytes differ from run to run, for runtimes share equal content between
 * namespaces, and a sequence must not depend on what an earlier one left behind.
 */
import { createHash } from "node:crypto";

/** Bytes of one letter of a text: one SHA-256 digest. */
export const pieceBytes = 32;

/** The letters that texts are made of. */
export const letters = ["a", "b"] as const;

/** Letters of a text whose digest can be told from its bytes' digest at most. */
const lettersMax = 5;

const namePattern = /@(0|[a-z]{1,9})(?![\w/])/g;
const digestPattern = /sha256:[0-9a-f]{64}/g;

/** The names of one run. */
export class ContentNames {
  readonly #run: string;
  readonly #names = new Map<string, string>();
  readonly #texts = this.#spelled();

  /** @param run no other run's, so that no other run's content has the same bytes */
  constructor(run: string) {
    this.#run = run;
  }

  bytesOf(text: string): Buffer {
    return Buffer.concat([...text].map((letter) => createHash("sha256").update(`${letter} of ${this.#run}`).digest()));
  }

  digestOf(text: string): string {
    const digest = `sha256:${createHash("sha256").update(this.bytesOf(text)).digest("hex")}`;
    this.#names.set(digest, nameOf(text));
    return digest;
  }

  /** The same value with every name in it, in keys as in texts, made a digest. */
  spell<T>(value: T): T {
    return replaced(value, (text) =>
      text.replace(namePattern, (_, word: string) => this.digestOf(word === "0" ? "" : word)),
    ) as T;
  }

  /** The other way round; a digest of none of the texts stays as it is. */
  name<T>(value: T): T {
    return replaced(value, (text) => text.replace(digestPattern, (digest) => this.#nameOf(digest) ?? digest)) as T;
  }

  #nameOf(digest: string): string | undefined {
    for (let known = this.#names.get(digest); ; known = this.#names.get(digest)) {
      if (known !== undefined) return known;
      const { value: text, done } = this.#texts.next();
      if (done) return undefined;
      this.digestOf(text);
    }
  }

  /** Every text, the short ones first. */
  *#spelled(): Generator<string, void, void> {
    let texts = [""];
    for (let length = 0; length <= lettersMax; length += 1) {
      yield* texts;
      texts = texts.flatMap((text) => letters.map((letter) => text + letter));
    }
  }
}

/** The name of a text's digest. */
export const nameOf = (text: string): string => `@${text === "" ? "0" : text}`;

function replaced(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((entry) => replaced(entry, change));
  if (value === null || typeof value !== "object" || value instanceof Uint8Array) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [change(key), replaced(entry, change)]));
}
