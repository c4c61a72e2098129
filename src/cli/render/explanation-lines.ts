/** An explanation as lines for people, and as JSON for programs. */
import type { ChartEdge } from "../../machines/mod.ts";
import { edgeLabel } from "./chart-mermaid.ts";
import { Columns } from "./columns.ts";
import type { Explanation, PathStep } from "./explanation.ts";
import { factSummary } from "./fact-summary.ts";
import { decode } from "./fields.ts";
import { integer } from "./json.ts";
import { type Style, typeFormat } from "./style.ts";
import { counted, printable } from "./text.ts";
import { localTime, utcTime } from "./time.ts";

/** Facts in a row that changed no status and are shown; of more, only how many there are. */
const STAYS_SHOWN_MAX = 4;

export function explanationLines(title: string, explanation: Explanation, style: Style): string[] {
  const { status, path, execs, next } = explanation;
  const since = path.findLast(({ execId, from, to }) => execId === "" && from !== to)?.fact;
  const when = since === undefined ? "" : ` since position ${since.position}, ${localTime(since.timeUnixNano)}`;
  return [
    `${printable(title)} is ${style("bold", status)}${when}`,
    "",
    style("dim", "Its chart, with where it is (●) and where it was (○):"),
    ...chartLines(explanation, style),
    "",
    style("dim", "How it came there:"),
    ...pathLines(path, style),
    "",
    style("dim", "What could happen next, as far as the chart has a say:"),
    ...nextLines(next, status),
    ...execs.flatMap(({ execId, status: of, next: ofExec }) => [
      "",
      `  exec ${printable(execId)} is ${style("bold", of)}`,
      ...nextLines(ofExec, of).map((line) => `  ${line}`),
    ]),
  ];
}

/** Each status and where one can go from it. */
function chartLines({ chart, status, path }: Explanation, style: Style): string[] {
  const visited = new Set(path.flatMap(({ execId, from, to }) => (execId === "" ? [from, to] : [])));
  const rows = chart.statuses.map((each) => {
    const targets = [
      ...new Set(chart.edges.filter(({ from, to }) => from === each && to !== each).map(({ to }) => to)),
    ];
    const mark = each === status ? "●" : visited.has(each) ? "○" : " ";
    return [`  ${mark}`, each === status ? style("bold", each) : each, `→ ${targets.join(", ")}`];
  });
  return Columns.table(rows);
}

function pathLines(path: readonly PathStep[], style: Style): string[] {
  const rows: string[][] = [];
  for (let start = 0; start < path.length; ) {
    const moved = path.findIndex(({ from, to }, index) => index >= start && from !== to);
    const end = moved === -1 ? path.length : moved;
    const stays = path.slice(start, end);
    if (stays.length <= STAYS_SHOWN_MAX) rows.push(...stays.map((step) => pathRow(step, style)));
    else {
      const [first, last] = [stays[0]!.fact.position, stays.at(-1)!.fact.position];
      const said = `${counted(stays.length, "fact")} that changed no status, positions ${first} to ${last}`;
      rows.push(["", "", "…", "", style("dim", said)]);
    }
    if (moved !== -1) rows.push(pathRow(path[moved]!, style));
    start = end + 1;
  }
  return Columns.table(rows);
}

/** An exec is named by what the fact says. */
function pathRow({ fact, from, to }: PathStep, style: Style): string[] {
  return [
    style("dim", String(fact.position).padStart(7)),
    style("dim", localTime(fact.timeUnixNano)),
    style(typeFormat(fact.type), printable(fact.type)),
    from === to ? "" : `${from} → ${to}`,
    factSummary(fact.type, decode(fact.data)),
  ];
}

/** What a shim, the disk or a recovery reports; anything else is asked for. */
const isReport = ({ command }: ChartEdge): boolean => /^(Record|Check)[A-Z]/.test(command);

/** What moves it, then what leaves it where it is. */
function nextLines(next: readonly ChartEdge[], status: string): string[] {
  const targets = [...new Set(next.map(({ to }) => to))].filter((to) => to !== status);
  const stays = next.filter(({ to }) => to === status);
  const rows = [
    ...targets.map((target) => ({ what: `→ ${target}`, edges: next.filter(({ to }) => to === target) })),
    { what: "stays", edges: stays.filter((edge) => !isReport(edge)) },
    { what: "stays, reported", edges: stays.filter(isReport) },
  ].filter(({ edges }) => edges.length > 0);
  return Columns.table(rows.map(({ what, edges }) => [`  ${what}`, edges.map(edgeLabel).join(", ")]));
}

export function explanationJson(entity: Readonly<Record<string, string>>, explanation: Explanation): string {
  const { status, path, next, execs } = explanation;
  const legal = (edges: readonly ChartEdge[]) => edges.map(({ command, to }) => ({ command, to }));
  return JSON.stringify({
    ...entity,
    status,
    path: path.map(({ fact, execId, from, to }) => ({
      position: integer(fact.position),
      time: utcTime(fact.timeUnixNano),
      fact: fact.type,
      ...(execId === "" ? {} : { exec: execId }),
      from,
      to,
    })),
    next: legal(next),
    execs: execs.map((exec) => ({ exec: exec.execId, status: exec.status, next: legal(exec.next) })),
  });
}
