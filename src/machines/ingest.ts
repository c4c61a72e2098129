/** The ingest: an open upload. Wordings: containerd's metadata/content.go. */
import type { FactType, StatedFact } from "../events/catalogue.ts";
import { buildChart } from "./chart.ts";
import { type Decider, unknownFact } from "./decider.ts";
import { rejection } from "./rejection.ts";

/** An ingest's row: an open upload under a ref. Bytes received are on disk, not in the log. */
export interface IngestState {
  readonly status: "absent" | "receiving";
  /** Announced size in bytes, 0 when unknown. */
  readonly total: number;
  /** Announced digest, empty when unknown. */
  readonly expected: string;
  /** Begun under a lease: it lives as long as a lease holds it. Any other may be collected a day after its start. */
  readonly leased: boolean;
  readonly startedAt: bigint;
}

export type IngestCommand =
  /** Resuming an open ingest is no fact, unless a different non-zero total was announced: then it is aborted and started again. */
  | {
      readonly type: "StartIngest";
      readonly ref: string;
      readonly total: number;
      readonly expected: string;
      readonly leased?: boolean;
    }
  | { readonly type: "CommitIngest"; readonly ref: string; readonly digest: string; readonly size: number }
  | { readonly type: "AbortIngest"; readonly ref: string; readonly reason: string };

export type IngestFact = StatedFact<Extract<FactType, `Ingest${string}`>>;

const initialState: IngestState = { status: "absent", total: 0, expected: "", leased: false, startedAt: 0n };

const chart = buildChart<IngestState["status"], IngestCommand["type"]>("ingest", "absent", {
  absent: { StartIngest: "receiving" },
  receiving: { StartIngest: "receiving", CommitIngest: "absent", AbortIngest: "absent" },
});

export const ingestDecider: Decider<IngestState, IngestCommand, IngestFact> = {
  kind: "ingest",
  chart,
  initialState,
  decide(state, command) {
    if (chart.next(state.status, command.type) === undefined) {
      return rejection("NotFound", "IngestAbsent", `reference ${command.ref}`);
    }
    switch (command.type) {
      case "StartIngest": {
        const { total, expected, leased } = command;
        const data = { total, expected, ...(leased && { leased }) } as const;
        const started = { type: "IngestStarted", data } as const;
        if (state.status === "absent") return [started];
        // An announced total contradicts another; a total that was never announced contradicts nothing (content/local/store.go).
        if (command.total === 0 || state.total === 0 || command.total === state.total) return [];
        const reason = `total changed from ${state.total} to ${command.total}`;
        return [{ type: "IngestAborted", data: { reason } }, started];
      }
      case "CommitIngest":
        return [{ type: "IngestCommitted", data: { digest: command.digest, size: command.size } }];
      case "AbortIngest":
        return [{ type: "IngestAborted", data: { reason: command.reason } }];
    }
  },
  evolve(state, fact) {
    switch (fact.type) {
      case "IngestStarted":
        return {
          status: "receiving",
          total: fact.data.total,
          expected: fact.data.expected,
          leased: fact.data.leased === true,
          startedAt: fact.time,
        };
      case "IngestCommitted":
      case "IngestAborted":
        return initialState;
      default:
        return unknownFact(state, fact);
    }
  },
  isTerminal: (state) => state.status === "absent",
};
