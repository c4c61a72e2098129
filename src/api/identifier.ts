/**
 * containerd's rule for identifiers: namespaces, container and exec ids, and the parts of an event topic. What passes is safe as
 * one component of a path. Source: identifiers/validate.go.
 */
import { ShiplogError } from "../error.ts";
import { quoted } from "../machines/mod.ts";

/** Bytes of an identifier at most; containerd calls them characters. */
export const IDENTIFIER_BYTES_MAX = 76;

const pattern = /^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$/;

/**
 * Returns `text` when it is an identifier.
 * @throws ShiplogError InvalidArgument; `what` leads the message, for example `container.ID`.
 */
export function identifier(text: string, what?: string): string {
  const problem = identifierProblem(text);
  if (problem === undefined) return text;
  throw new ShiplogError("InvalidArgument", `${what === undefined ? "" : `${what}: `}${problem}`, {
    reason: "InvalidIdentifier",
  });
}

function identifierProblem(text: string): string | undefined {
  if (text === "") return "identifier must not be empty";
  if (Buffer.byteLength(text) > IDENTIFIER_BYTES_MAX) {
    return `identifier ${quoted(text)} greater than maximum length (${IDENTIFIER_BYTES_MAX} characters)`;
  }
  return pattern.test(text) ? undefined : `identifier ${quoted(text)} must match ${pattern.source}`;
}
