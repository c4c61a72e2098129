/**
 * Changes to a container's runtime spec, which is JSON that the client made. Owns reading and writing it without changing what it does not
 * understand: integers that a JavaScript number would round, as the limits of Go's uint64, are kept digit by digit.
 */
import type { AnyValue } from "../events/catalogue.ts";

/** An object of the spec; what is in it is the client's. */
export type SpecObject = { [name: string]: unknown };

/** What JSON.rawJSON makes: text that is written as it is. Node has it, TypeScript's libraries do not know it yet. */
const raw = JSON as unknown as { rawJSON(text: string): unknown };

/** The spec with what `change` does to it. @throws SyntaxError for what is no JSON, TypeError for what is no object */
export function changeSpec(spec: AnyValue, change: (spec: SpecObject) => void): AnyValue {
  const parse = JSON.parse as (
    text: string,
    reviver: (name: string, value: unknown, context: { readonly source?: string }) => unknown,
  ) => unknown;
  const parsed = parse(Buffer.from(spec.value).toString(), (_name, value, { source }) =>
    typeof value === "number" && source !== undefined && String(value) !== source ? raw.rawJSON(source) : value,
  );
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
    throw new TypeError("a runtime spec is no JSON object");
  change(parsed as SpecObject);
  return { typeUrl: spec.typeUrl, value: Buffer.from(JSON.stringify(parsed)) };
}

/** A bind mount, as the OCI runtime spec has it. */
export interface BindMount {
  readonly source: string;
  readonly destination: string;
  readonly readOnly: boolean;
}

/** The spec with these mounts behind its own, so that they are on top. */
export function withMounts(spec: AnyValue, mounts: readonly BindMount[]): AnyValue {
  return changeSpec(spec, (parsed) => {
    const own = Array.isArray(parsed.mounts) ? parsed.mounts : [];
    const added = mounts.map(({ source, destination, readOnly }) => ({
      destination,
      type: "bind",
      source,
      options: ["rbind", readOnly ? "ro" : "rw"],
    }));
    parsed.mounts = [...own, ...added];
  });
}
