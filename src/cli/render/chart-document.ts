/** The page docs/reference/charts.md, from the charts themselves: scripts/write-charts.ts writes it, and a test keeps it equal. */
import { charts } from "../../machines/charts.ts";
import { type ChartGraph, chartGraph } from "../../machines/mod.ts";
import { edgeLabel, mermaidChart, staysOf } from "./chart-mermaid.ts";

const introduction = `# Charts

Every entity has a chart: the statuses that it can have, and which command leads from which to which. The charts here are those that the
daemon asks before it decides, written by \`npm run generate\` from the machines themselves; a test keeps this page equal to them.

- A command that is not charted in a status is refused there. One that stays is legal and changes nothing about the status; it may
  still be a fact.
- A command that is legal may be refused for what it names: a parent that is not there, a snapshot with children.
- Commands in \`Record\` are what a shim, the disk or the recovery after a crash has reported. A report that can be true is legal
  wherever it can come, for reports overtake each other.
- \`absent\` (of a few, another word) is where a chart begins and ends: there is no such entity, and no row.

\`shiplog charts NAME\` prints a chart as Mermaid, and with \`--format xstate\` or \`--format svg\` for xstate's tools or as a drawing.
\`shiplog explain KIND/ID\` shows where an entity is in its chart, how it came there, and what could happen next.
`;

export function chartsDocument(): string {
  return [introduction, ...Object.values(charts).map((chart) => section(chartGraph(chart)))].join("\n");
}

function section(graph: ChartGraph): string {
  const { name, statuses, edges } = graph;
  const rows = statuses.map((status) => {
    const moves = edges.filter(({ from, to }) => from === status && to !== status);
    const leads = moves.map((edge) => `${edgeLabel(edge)} → \`${edge.to}\``);
    return `| \`${status}\` | ${leads.join("<br>")} | ${staysOf(edges, status).join(", ")} |`;
  });
  return [
    `## ${name}`,
    "",
    "```mermaid",
    mermaidChart(graph),
    "```",
    "",
    "| in | leads to | stays |",
    "| --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
}
