/** A chart as a Mermaid state diagram. */
import type { ChartEdge, ChartGraph } from "../../machines/mod.ts";

/** Commands that leave a status as it is and are drawn one by one; of more, the diagram has the number, and a comment their names. */
const STAYS_DRAWN_MAX = 3;

export function mermaidChart({ initial, statuses, edges }: ChartGraph): string {
  const lines = ["stateDiagram-v2", `  [*] --> ${initial}`];
  for (const status of statuses) {
    const moves = edges.filter(({ from, to }) => from === status && to !== status);
    for (const edge of moves) lines.push(`  ${status} --> ${edge.to}: ${edgeLabel(edge)}`);
    const stays = staysOf(edges, status);
    if (stays.length <= STAYS_DRAWN_MAX) lines.push(...stays.map((each) => `  ${status} --> ${status}: ${each}`));
    else {
      lines.push(`  %% ${stays.join(", ")}`);
      lines.push(`  ${status} --> ${status}: ${stays.length} commands`);
    }
  }
  return lines.join("\n");
}

/** The command, and the condition under which it leads there. */
export function edgeLabel({ command, condition }: ChartEdge): string {
  if (condition === undefined) return command;
  return `${command} [${condition.holds ? "" : "not "}${condition.name}]`;
}

/** The commands that are legal in a status and leave it as it is. */
export const staysOf = (edges: readonly ChartEdge[], status: string): readonly string[] =>
  edges.filter(({ from, to }) => from === status && to === status).map(edgeLabel);
