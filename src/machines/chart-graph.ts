/**
 * A chart as plain data, for documents and for people: what `chart.ts` built, read back from the xstate machine itself, so that what is shown
 * is what decides.
 */
import type { Chart } from "./decider.ts";

/** One way from a status to the next. */
export interface ChartEdge {
  readonly from: string;
  readonly command: string;
  /** The same as `from` where the command is legal and changes nothing about the status. */
  readonly to: string;
  /** The way is taken only when this condition holds, or only when it does not. */
  readonly condition?: { readonly name: string; readonly holds: boolean };
}

export interface ChartGraph {
  /** The kind of entity. */
  readonly name: string;
  readonly initial: string;
  readonly statuses: readonly string[];
  /** In the order in which the chart states them. */
  readonly edges: readonly ChartEdge[];
}

/** The part of an xstate machine's configuration that charts use. */
export interface ChartConfig {
  readonly id: string;
  readonly initial: string;
  readonly context: { readonly holds: readonly string[] };
  readonly states: Readonly<Record<string, { readonly on: Readonly<Record<string, ConfiguredTarget>> }>>;
}

type ConfiguredTarget =
  | string
  | readonly [{ readonly guard: string; readonly target: string }, { readonly target: string }];

/**
 * The configuration of the chart's machine, as xstate and its tools read it. A guard is named by its condition, which holds when
 * `context.holds` names it.
 */
export function chartConfig({ machine }: Chart): ChartConfig {
  const { id, initial, context, states } = (machine as { readonly config: ChartConfig }).config;
  return { id, initial, context, states };
}

export function chartGraph(chart: Chart): ChartGraph {
  const { id, initial, states } = chartConfig(chart);
  const edges = Object.entries(states).flatMap(([from, { on }]) =>
    Object.entries(on).flatMap(([command, target]): ChartEdge[] => {
      if (typeof target === "string") return [{ from, command, to: target }];
      const [{ guard: name, target: to }, otherwise] = target;
      return [
        { from, command, to, condition: { name, holds: true } },
        { from, command, to: otherwise.target, condition: { name, holds: false } },
      ];
    }),
  );
  return { name: id, initial, statuses: Object.keys(states), edges };
}
