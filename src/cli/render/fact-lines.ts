/** Facts as lines for people: one a fact, in aligned columns, with a heading. */
import type { Fact } from "../../wire/gen/shiplog/events/v1/log.ts";
import { Columns } from "./columns.ts";
import { factSummary } from "./fact-summary.ts";
import { decode } from "./fields.ts";
import { typeFormat, type Style } from "./style.ts";
import { printable } from "./text.ts";
import { localTime } from "./time.ts";

const positionWidth = 5;
const timeWidth = 29;
const typeWidth = 16;

/** Lines of a stream of facts without an end: what happened to whom, in the log's order. */
export class EventLines {
  readonly #columns = new Columns([positionWidth, timeWidth, 10, 24, typeWidth]);
  readonly #style: Style;

  constructor(style: Style) {
    this.#style = style;
  }

  heading(): string {
    return this.#style("dim", this.#columns.line(["  POS", "TIME", "NAMESPACE", "STREAM", "FACT", ""]));
  }

  line(fact: Fact): string {
    return this.#columns.line([
      this.#style("dim", String(fact.position).padStart(positionWidth)),
      this.#style("dim", localTime(fact.timeUnixNano)),
      printable(fact.namespace),
      printable(fact.stream),
      this.#style(typeFormat(fact.type), printable(fact.type)),
      factSummary(fact.type, decode(fact.data)),
    ]);
  }
}

/**
 * The whole history of one or more streams. Facts that one request led to stand together under who asked for it; `streams` names each
 * fact's stream, when there are several.
 */
export function historyLines(facts: readonly Fact[], streams: boolean, style: Style): string[] {
  const rows = facts.map((fact) => [
    style("dim", String(fact.position).padStart(positionWidth)),
    style("dim", localTime(fact.timeUnixNano)),
    ...(streams ? [printable(fact.stream)] : []),
    style(typeFormat(fact.type), printable(fact.type)),
    [factSummary(fact.type, decode(fact.data)), style("dim", cause(fact))].filter((part) => part !== "").join("  "),
  ]);
  return Columns.table(rows).flatMap((line, index) => {
    const origin = originOf(facts[index]!);
    const before = facts[index - 1];
    return before !== undefined && originOf(before) === origin ? [line] : [style("cyan", origin), line];
  });
}

const cause = (fact: Fact): string => (fact.cause === undefined ? "" : `because of ${fact.cause}`);

/** Who, and in which request: `uid 0 gid 0 pid 4321, request 0123…`. */
function originOf({ principal, requestId }: Fact): string {
  const { uid, gid, pid, client } = principal ?? { uid: 0, gid: 0, pid: 0, client: "unknown" };
  const ids = `uid ${uid} gid ${gid} pid ${pid}`;
  const who = client === "" ? ids : `${client} (${ids})`;
  return printable(requestId === "" ? who : `${who}, request ${requestId}`);
}
