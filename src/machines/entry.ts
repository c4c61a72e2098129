/** The entry: something that a client keeps under a name of its own choice. What it holds is the client's; nothing here looks at it. */
import type { AnyValue, FactType, StatedFact } from "../events/catalogue.ts";
import { buildChart } from "./chart.ts";
import { type Decider, unknownFact } from "./decider.ts";
import { quoted, rejection } from "./rejection.ts";

/** An entry's row. Times are unix nanoseconds. */
export interface EntryState {
  readonly status: "absent" | "present";
  readonly value: AnyValue;
  readonly createdAt: bigint;
  readonly updatedAt: bigint;
}

export type EntryCommand =
  /** No fact when the entry holds this value already. */
  | { readonly type: "PutEntry"; readonly name: string; readonly value: AnyValue }
  | { readonly type: "DeleteEntry"; readonly name: string };

export type EntryFact = StatedFact<Extract<FactType, `Entry${string}`>>;

const initialState: EntryState = {
  status: "absent",
  value: { typeUrl: "", value: new Uint8Array() },
  createdAt: 0n,
  updatedAt: 0n,
};

const chart = buildChart<EntryState["status"], EntryCommand["type"]>("entry", "absent", {
  absent: { PutEntry: "present" },
  present: { PutEntry: "present", DeleteEntry: "absent" },
});

export const entryDecider: Decider<EntryState, EntryCommand, EntryFact> = {
  kind: "entry",
  chart,
  initialState,
  decide(state, command) {
    switch (command.type) {
      case "PutEntry": {
        const { value } = command;
        if (state.status === "present" && isSame(state.value, value)) return [];
        return [{ type: "EntryPut", data: { value } }];
      }
      case "DeleteEntry":
        if (chart.next(state.status, command.type) === undefined) {
          return rejection("NotFound", "EntryAbsent", `entry ${quoted(command.name)}`);
        }
        return [{ type: "EntryDeleted", data: {} }];
    }
  },
  evolve(state, fact) {
    switch (fact.type) {
      case "EntryPut": {
        const createdAt = state.status === "present" ? state.createdAt : fact.time;
        const { typeUrl, value } = fact.data.value;
        return { status: "present", value: { typeUrl, value }, createdAt, updatedAt: fact.time };
      }
      case "EntryDeleted":
        return initialState;
      default:
        return unknownFact(state, fact);
    }
  },
  isTerminal: (state) => state.status === "absent",
};

const isSame = (a: AnyValue, b: AnyValue): boolean => a.typeUrl === b.typeUrl && Buffer.compare(a.value, b.value) === 0;
