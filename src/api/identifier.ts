/**
 * containerd's rule for identifiers: namespaces, container and exec ids, and the parts of an event topic. What passes is safe as
 * one component of a path. Source: identifiers/validate.go.
 */
import { ShiplogError } from "../error.ts";

/** Characters of an identifier at most. */
export const IDENTIFIER_LENGTH_MAX = 76;

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
  if (text.length > IDENTIFIER_LENGTH_MAX) {
    return `identifier ${JSON.stringify(text)} greater than maximum length (${IDENTIFIER_LENGTH_MAX} characters)`;
  }
  return pattern.test(text) ? undefined : `identifier ${JSON.stringify(text)} must match ${pattern.source}`;
}
