/**
 * Which transitions of the charts were taken on a runtime whose log can be read: the log's facts show those that state any, and the model, with
 * which the runtime agreed, those that state none.
 */
import { toDirectedGraph } from "@xstate/graph";
import type { Connection } from "../../src/cli/client.ts";
import type { StatedFact } from "../../src/events/catalogue.ts";
import { decodeData } from "../../src/events/mod.ts";
import {
  type Decider,
  deciders,
  execChart,
  execOf,
  type Kind,
  type TaskState,
  type Timed,
} from "../../src/machines/mod.ts";
import { parseStream } from "../../src/projections/mod.ts";
import { factName, type Transition } from "../../src/testing/mod.ts";
import { log } from "../../src/wire/mod.ts";

type State = { readonly status: string };
type AnyDecider = Decider<State, { readonly type: string }, StatedFact>;
type Machine = Parameters<typeof toDirectedGraph>[0];

const charts: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ...Object.entries(deciders).map(([kind, { chart }]): [string, unknown] => [kind, chart.machine]),
  ["exec", execChart.machine],
]);

/** `chart: from command to`. */
export const nameOf = ({ chart, from, command, to }: Omit<Transition, "facts">): string =>
  `${chart}: ${from} ${command} ${to}`;

/** Every transition that a chart draws, by name. */
export function drawn(): readonly string[] {
  const status = (id: string) => id.slice(id.indexOf(".") + 1);
  return [...charts].flatMap(([chart, machine]) =>
    toDirectedGraph(machine as Machine).children.flatMap(({ edges }) =>
      edges.map(({ source, target, label }) =>
        nameOf({ chart, from: status(source.id), command: label.text, to: status(target.id) }),
      ),
    ),
  );
}

/** The facts of the namespaces of this prefix, each with the status that its entity had until then. */
export async function factsIn(connection: Connection, prefix: string): Promise<ReadonlySet<string>> {
  const states = new Map<string, State>();
  const seen = new Set<string>();
  for await (const { facts } of connection.service(log.LogDefinition).read({ fromPosition: 0n })) {
    for (const { namespace, stream, type, data } of facts) {
      const parsed = namespace.startsWith(prefix) ? parseStream(stream) : undefined;
      if (parsed === undefined) continue;
      const name = `${namespace}/${stream}`;
      const decider = deciders[parsed.kind] as unknown as AnyDecider;
      const before = states.get(name) ?? decider.initialState;
      const fact = { type, data: decodeData(data), time: 0n } as Timed<StatedFact>;
      states.set(name, decider.evolve(before, fact));
      for (const each of namesOf(parsed.kind, before, fact)) seen.add(each);
    }
  }
  return seen;
}

function namesOf(kind: Kind, before: State, { type, data }: StatedFact): readonly string[] {
  const name = factName(kind, before.status, type);
  if (kind !== "task" || !("execId" in data) || data.execId === "") return [name];
  return [name, factName("exec", execOf(before as TaskState, data.execId)?.status ?? "absent", type)];
}

/** By name, those of the transitions that the runtime took with the model. */
export function covered(taken: readonly Transition[], seen: ReadonlySet<string>): ReadonlySet<string> {
  return new Set(taken.filter(({ facts }) => facts.every((fact) => seen.has(fact))).map(nameOf));
}
