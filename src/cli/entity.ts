/** An entity as the command line names it: `KIND/ID`, which is its stream in the log. */
import type { Kind } from "../machines/mod.ts";
import { UsageError } from "./command.ts";
import { isKind, kinds } from "./render/mod.ts";

/** @throws UsageError unless the text is `KIND/ID` */
export function parseEntity(text: string): { readonly kind: Kind; readonly key: string } {
  const slash = text.indexOf("/");
  if (slash < 1 || slash === text.length - 1)
    throw new UsageError(`"${text}" is not of the form KIND/ID, as in container/web`);
  const kind = text.slice(0, slash);
  if (!isKind(kind)) throw new UsageError(`there is no kind "${kind}"; kinds are ${kinds.join(", ")}`);
  return { kind, key: text.slice(slash + 1) };
}
