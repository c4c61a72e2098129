/**
 * Digests as text, `<algorithm>:<hex>`, and which algorithms the store can check. Owns the grammar; it is go-digest's, and so are the
 * words of its complaints, which clients show.
 */
import { ErrorClass, ShiplogError } from "../error.ts";

/** The algorithms that content may be named by, each with its length in hex digits. */
export const digestAlgorithms = { sha256: 64, sha384: 96, sha512: 128 } as const;
export type DigestAlgorithm = keyof typeof digestAlgorithms;

/** What is hashed when nobody named an algorithm. */
export const canonicalAlgorithm: DigestAlgorithm = "sha256";

export interface DigestParts {
  readonly algorithm: DigestAlgorithm;
  /** Lower-case hex digits, as many as the algorithm gives. */
  readonly hex: string;
}

const grammar = /^([a-z0-9]+(?:[.+_-][a-z0-9]+)*):([a-zA-Z0-9=_-]+)$/;

/** The parts of a digest, or why `text` is none. Source: go-digest digest.go (Validate). */
export function readDigest(text: string): DigestParts | string {
  const [, algorithm, hex] = grammar.exec(text) ?? [];
  if (algorithm === undefined || hex === undefined) return "invalid checksum digest format";
  if (!Object.hasOwn(digestAlgorithms, algorithm)) return "unsupported digest algorithm";
  const known = algorithm as DigestAlgorithm;
  if (hex.length !== digestAlgorithms[known]) return "invalid checksum digest length";
  if (!/^[a-f0-9]+$/.test(hex)) return "invalid checksum digest format";
  return { algorithm: known, hex };
}

/** @throws ShiplogError InvalidArgument when `text` is no digest */
export function parseDigest(text: string): DigestParts {
  const parts = readDigest(text);
  if (typeof parts !== "string") return parts;
  throw new ShiplogError(ErrorClass.InvalidArgument, `${JSON.stringify(text)} is no digest: ${parts}`, {
    reason: "DigestInvalid",
  });
}
