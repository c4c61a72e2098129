/** Where the next page of a list begins, as a text that clients hand back: opaque to them, and believed only as far as it makes sense. */
import { ShiplogError } from "../error.ts";
import type { Position } from "../events/mod.ts";
import type { RowName } from "../projections/mod.ts";

export interface PageStart {
  /** The position that all pages of the list are as of. */
  readonly asOf: Position;
  readonly after: RowName;
}

/** `prefix` is the list's, so that no token goes on with another. */
export function pageToken(prefix: string, { asOf, after: { namespace, table, key } }: PageStart): string {
  return Buffer.from(JSON.stringify([asOf, namespace, table, key, prefix])).toString("base64url");
}

/** @throws ShiplogError InvalidArgument when it is no token of a list of this prefix, in a log that ends at `next`. */
export function readPageToken(token: string, prefix: string, next: Position): PageStart {
  const [asOf, namespace, table, key, of] = parsed(token);
  const texts = typeof namespace === "string" && typeof table === "string" && typeof key === "string";
  if (!texts || !Number.isSafeInteger(asOf) || (asOf as number) < 0 || (asOf as number) > next || of !== prefix) {
    throw new ShiplogError("InvalidArgument", "page token: it is not from a list of this prefix", {
      reason: "InvalidPageToken",
    });
  }
  return { asOf: asOf as Position, after: { namespace, table, key } };
}

function parsed(token: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}
