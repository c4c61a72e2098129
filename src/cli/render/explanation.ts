/**
 * Where an entity is in its chart, how it came there, and what could happen next: its facts folded as the daemon folds them, beside the chart
 * that the daemon asks.
 */
import type { StatedFact } from "../../events/catalogue.ts";
import { charts, type ChartName } from "../../machines/charts.ts";
import {
  type ChartEdge,
  type ChartGraph,
  chartGraph,
  conditions,
  type Decider,
  deciders,
  execOf,
  type Kind,
  type TaskState,
} from "../../machines/mod.ts";
import type { Fact } from "../../wire/gen/shiplog/events/v1/log.ts";
import { decode } from "./fields.ts";

/** One fact, and what it changed about the status of the entity, or of a process executed in the task. */
export interface PathStep {
  readonly fact: Fact;
  /** Empty for the entity itself. */
  readonly execId: string;
  readonly from: string;
  readonly to: string;
}

export interface Explanation {
  readonly chart: ChartGraph;
  readonly status: string;
  readonly path: readonly PathStep[];
  /** Legal by the chart; a command may still be refused for what it names. */
  readonly next: readonly ChartEdge[];
  /** Of a task alone. */
  readonly execs: readonly { readonly execId: string; readonly status: string; readonly next: readonly ChartEdge[] }[];
}

type Entity = { readonly status: string };
type AnyDecider = Decider<Entity, { readonly type: string }, StatedFact>;

const graphOf = (name: ChartName): ChartGraph => chartGraph(charts[name]);

/** `facts` is the whole stream, in order. */
export function explain(kind: Kind, facts: readonly Fact[]): Explanation {
  const decider = deciders[kind] as unknown as AnyDecider;
  const path: PathStep[] = [];
  let state = decider.initialState;
  for (const fact of facts) {
    const after = decider.evolve(state, { type: fact.type, data: decode(fact.data), time: fact.timeUnixNano } as never);
    const execId = execIdOf(fact);
    path.push({ fact, execId, from: statusOf(state, execId), to: statusOf(after, execId) });
    state = after;
  }
  const chart = graphOf(kind);
  const holds = kind === "task" ? conditions(state as TaskState) : [];
  const legal = chart.edges.filter(
    ({ from, condition }) =>
      from === state.status && (condition === undefined || condition.holds === holds.includes(condition.name)),
  );
  if (kind !== "task") return { chart, status: state.status, path, next: legal, execs: [] };

  // A command about an exec has to be legal on both charts; what it does is the exec's.
  const { edges, initial } = graphOf("exec");
  const ofExecs = new Set(edges.filter(({ from }) => from !== initial).map(({ command }) => command));
  const commands = new Set(legal.map(({ command }) => command));
  return {
    chart,
    status: state.status,
    path,
    next: legal.filter(({ command }) => !ofExecs.has(command) || command === "SignalTask"),
    execs: Object.entries((state as TaskState).execs).map(([execId, { status }]) => ({
      execId,
      status,
      next: edges.filter(({ from, command }) => from === status && commands.has(command)),
    })),
  };
}

/** A fact that names an exec is about that one. */
function execIdOf({ type, data }: Fact): string {
  if (!type.startsWith("Exec")) return "";
  const { execId } = decode(data) as { readonly execId?: unknown };
  return typeof execId === "string" ? execId : "";
}

const statusOf = (state: Entity, execId: string): string =>
  execId === "" ? state.status : (execOf(state as TaskState, execId)?.status ?? graphOf("exec").initial);
