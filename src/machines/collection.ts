/** The collections of a namespace: each is a moment at which what nothing reached was ended. Keeps count of them; decides nothing more. */
import type { FactType, Garbage, StatedFact } from "../events/catalogue.ts";
import { buildChart } from "./chart.ts";
import { type Decider, unknownFact } from "./decider.ts";

/** A namespace's row: how many appends of collections there were, and how many entities they ended. */
export interface CollectionState {
  readonly status: "none" | "collected";
  readonly count: number;
  readonly removed: number;
}

/** Goes into the append in which what it names ends. */
export type CollectionCommand = { readonly type: "RecordCollection"; readonly removed: readonly Garbage[] };

export type CollectionFact = StatedFact<Extract<FactType, `Garbage${string}`>>;

const initialState: CollectionState = { status: "none", count: 0, removed: 0 };

const chart = buildChart<CollectionState["status"], CollectionCommand["type"]>("collection", "none", {
  none: { RecordCollection: "collected" },
  collected: { RecordCollection: "collected" },
});

export const collectionDecider: Decider<CollectionState, CollectionCommand, CollectionFact> = {
  kind: "collection",
  chart,
  initialState,
  decide(_state, { removed }) {
    return [{ type: "GarbageCollected", data: { removed } }];
  },
  evolve(state, fact) {
    switch (fact.type) {
      case "GarbageCollected":
        return { status: "collected", count: state.count + 1, removed: state.removed + fact.data.removed.length };
      default:
        return unknownFact(state, fact.type);
    }
  },
  isTerminal: (state) => state.status === "none",
};
