/**
 * The core projection: one table per kind of entity, each row the state that the kind's decider folds. Deciders read the rows that
 * clients read, so there is no second model to drift.
 */
import type { Fact } from "../events/fact.ts";
import { deciders, type Decider, type Timed } from "../machines/mod.ts";
import type { StatedFact } from "../events/catalogue.ts";
import type { Projection, RowChange } from "./definition.ts";
import { kinds, parseStream } from "./stream.ts";

type AnyDecider = Decider<{ readonly status: string }, { readonly type: string }, StatedFact>;

export const core: Projection = {
  name: "core",
  version: 5,
  tables: kinds,
  apply(before, fact): RowChange | undefined {
    const stream = parseStream(fact.stream);
    if (stream === undefined) return undefined;
    const { kind, key } = stream;
    const decider = deciders[kind] as unknown as AnyDecider;
    const state = (before(kind, fact.namespace, key) ?? decider.initialState) as { readonly status: string };
    const after = decider.evolve(state, fact as Fact & Timed<StatedFact>);
    return {
      table: kind,
      namespace: fact.namespace,
      key,
      version: fact.version,
      position: fact.position,
      row: decider.isTerminal(after) ? null : after,
    };
  },
};
