/** The publication: a topic on which envelopes were published that are no facts of ours. */
import type { AnyValue, FactType, StatedFact } from "../events/catalogue.ts";
import { buildChart } from "./chart.ts";
import { type Decider, unknownFact } from "./decider.ts";

/** A topic's row: how many envelopes that are no facts of ours were published on it. */
export interface PublicationState {
  readonly status: "silent" | "published";
  readonly count: number;
}

export type PublicationCommand = {
  readonly type: "PublishEvent";
  readonly topic: string;
  readonly event: AnyValue | null;
  /** Unix nanoseconds; a forwarded envelope keeps the shim's. */
  readonly timestamp: bigint;
};

export type PublicationFact = StatedFact<Extract<FactType, `Event${string}`>>;

const initialState: PublicationState = { status: "silent", count: 0 };

const chart = buildChart<PublicationState["status"], PublicationCommand["type"]>("event", "silent", {
  silent: { PublishEvent: "published" },
  published: { PublishEvent: "published" },
});

/** Every publication is legal: it is something that happened elsewhere. */
export const publicationDecider: Decider<PublicationState, PublicationCommand, PublicationFact> = {
  kind: "event",
  chart,
  initialState,
  decide(_state, { topic, event, timestamp }) {
    return [{ type: "EventPublished", data: { topic, event, timestamp } }];
  },
  evolve(state, fact) {
    switch (fact.type) {
      case "EventPublished":
        return { status: "published", count: state.count + 1 };
      default:
        return unknownFact(state, fact.type);
    }
  },
  isTerminal: (state) => state.status === "silent",
};
