/**
 * SHA-256 of a short text, by the OpenSSL that the node binary exports: node:crypto comes with every other kind of cryptography, and to load it would be a
 * tenth of a shim's start. Owns the one call. Not for what is long: nothing else runs meanwhile.
 */
import koffi from "koffi";

const digestBytes = 32;
const digest = koffi.load(null).func("void *SHA256(const void *, size_t, void *)");

/** In hexadecimal, 64 characters. */
export function sha256(text: string): string {
  const bytes = Buffer.from(text);
  const out = Buffer.alloc(digestBytes);
  digest(bytes, bytes.length, out);
  return out.toString("hex");
}
