/** Facts as lines for people: one a fact, in aligned columns, with a heading. */
import type { Fact } from "../../wire/gen/shiplog/events/v1/log.ts";
import { Columns } from "./columns.ts";
import { factSummary } from "./fact-summary.ts";
import { decode } from "./fields.ts";
import { typeFormat, type Style } from "./style.ts";
import { printable } from "./text.ts";
import { localTime } from "./time.ts";

const timeWidth = 29;
const typeWidth = 18;

/** Lines of a stream of facts without an end: what happened to whom, in the log's order. */
export class EventLines {
  readonly #columns = new Columns([5, timeWidth, 10, 24, typeWidth]);
  readonly #style: Style;

  constructor(style: Style) {
    this.#style = style;
  }

  heading(): string {
    return this.#style("dim", this.#columns.line(["POS", "TIME", "NAMESPACE", "STREAM", "FACT", ""]));
  }

  line(fact: Fact): string {
    return this.#columns.line([
      this.#style("dim", String(fact.position).padStart(5)),
      this.#style("dim", localTime(fact.timeUnixNano)),
      printable(fact.namespace),
      printable(fact.stream),
      this.#style(typeFormat(fact.type), printable(fact.type)),
      factSummary(fact.type, decode(fact.data)),
    ]);
  }
}

/** The whole history of one or more streams: when, what, who and why. `streams` names each line's when there are several. */
export function historyLines(facts: readonly Fact[], streams: boolean, style: Style): string[] {
  const rows = facts.map((fact) => [
    style("dim", String(fact.position)),
    style("dim", localTime(fact.timeUnixNano)),
    ...(streams ? [printable(fact.stream)] : []),
    style(typeFormat(fact.type), printable(fact.type)),
    factSummary(fact.type, decode(fact.data)),
    who(fact),
    style("dim", why(fact)),
  ]);
  const heading = ["POS", "TIME", ...(streams ? ["STREAM"] : []), "FACT", "", "WHO", "WHY"].map((name) => style("dim", name));
  return Columns.table([heading, ...rows]);
}

function who({ principal }: Fact): string {
  if (principal === undefined) return "unknown";
  const ids = `uid ${principal.uid} gid ${principal.gid} pid ${principal.pid}`;
  return principal.client === "" ? ids : `${printable(principal.client)} (${ids})`;
}

const why = ({ cause, requestId }: Fact): string =>
  [cause === undefined ? "" : `because of ${cause}`, requestId === "" ? "" : `request ${printable(requestId)}`]
    .filter((part) => part !== "")
    .join(", ");
