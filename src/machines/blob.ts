/** The blob: a namespace's link to content. The bytes are not its business. Wordings: containerd's metadata/content.go. */
import type { FactType, Labels, StatedFact } from "../events/catalogue.ts";
import { buildChart } from "./chart.ts";
import { type Decider, unknownFact } from "./decider.ts";
import { ordered } from "./maps.ts";
import { rejection } from "./rejection.ts";

/** A namespace's link to a blob. Size in bytes. */
export interface BlobState {
  readonly status: "absent" | "present";
  readonly size: number;
  readonly labels: Labels;
  readonly createdAt: bigint;
  readonly updatedAt: bigint;
}

export type BlobCommand =
  | { readonly type: "CommitBlob"; readonly digest: string; readonly size: number; readonly labels: Labels }
  | { readonly type: "UpdateBlob"; readonly digest: string; readonly labels: Labels }
  | { readonly type: "DeleteBlob"; readonly digest: string; readonly collected?: boolean };

export type BlobFact = StatedFact<Extract<FactType, `Blob${string}`>>;

const initialState: BlobState = { status: "absent", size: 0, labels: {}, createdAt: 0n, updatedAt: 0n };

const chart = buildChart<BlobState["status"], BlobCommand["type"]>("blob", "absent", {
  absent: { CommitBlob: "present" },
  present: { UpdateBlob: "present", DeleteBlob: "absent" },
});

export const blobDecider: Decider<BlobState, BlobCommand, BlobFact> = {
  kind: "blob",
  chart,
  initialState,
  decide(state, command) {
    if (chart.next(state.status, command.type) === undefined) {
      return command.type === "CommitBlob"
        ? rejection("AlreadyExists", "BlobExists", `content ${command.digest}`)
        : rejection("NotFound", "BlobAbsent", `content digest ${command.digest}`);
    }
    switch (command.type) {
      case "CommitBlob":
        return [{ type: "BlobCommitted", data: { size: command.size, labels: command.labels } }];
      case "UpdateBlob":
        return [{ type: "BlobUpdated", data: { labels: command.labels } }];
      case "DeleteBlob":
        return [{ type: "BlobDeleted", data: command.collected === true ? { collected: true } : {} }];
    }
  },
  evolve(state, fact) {
    switch (fact.type) {
      case "BlobCommitted":
        return {
          status: "present",
          size: fact.data.size,
          labels: ordered(fact.data.labels),
          createdAt: fact.time,
          updatedAt: fact.time,
        };
      case "BlobUpdated":
        return { ...state, labels: ordered(fact.data.labels), updatedAt: fact.time };
      case "BlobDeleted":
        return initialState;
      default:
        return unknownFact(state, fact);
    }
  },
  isTerminal: (state) => state.status === "absent",
};
