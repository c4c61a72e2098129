/** The lease: a holder that keeps resources from being collected. Wordings: containerd's metadata/leases.go. */
import type { FactType, Labels, StatedFact } from "../events/catalogue.ts";
import { buildChart } from "./chart.ts";
import { type Decider, unknownFact } from "./decider.ts";
import { ordered } from "./maps.ts";
import { quoted, rejection } from "./rejection.ts";

export interface LeaseResource {
  /** `content`, `ingests` or `snapshots/<snapshotter>`. */
  readonly type: string;
  readonly id: string;
}

/** A lease's row. */
export interface LeaseState {
  readonly status: "absent" | "present";
  readonly labels: Labels;
  readonly resources: readonly LeaseResource[];
  readonly createdAt: bigint;
}

export type LeaseCommand =
  | { readonly type: "CreateLease"; readonly id: string; readonly labels: Labels }
  | { readonly type: "DeleteLease"; readonly id: string }
  | { readonly type: "ExpireLease"; readonly id: string }
  /** Rejects with NotFound `lease "X": not found` when the lease is absent; no fact when the resource is already held. */
  | { readonly type: "AddLeaseResource"; readonly id: string; readonly resource: LeaseResource }
  | { readonly type: "RemoveLeaseResource"; readonly id: string; readonly resource: LeaseResource };

export type LeaseFact = StatedFact<Extract<FactType, `Lease${string}`>>;

const initialState: LeaseState = { status: "absent", labels: {}, resources: [], createdAt: 0n };

const chart = buildChart<LeaseState["status"], LeaseCommand["type"]>("lease", "absent", {
  absent: { CreateLease: "present" },
  present: {
    DeleteLease: "absent",
    ExpireLease: "absent",
    AddLeaseResource: "present",
    RemoveLeaseResource: "present",
  },
});

export const leaseDecider: Decider<LeaseState, LeaseCommand, LeaseFact> = {
  kind: "lease",
  chart,
  initialState,
  decide(state, command) {
    if (chart.next(state.status, command.type) === undefined) {
      return command.type === "CreateLease"
        ? rejection("AlreadyExists", "LeaseExists", `lease ${quoted(command.id)}`)
        : rejection("NotFound", "LeaseAbsent", `lease ${quoted(command.id)}`);
    }
    switch (command.type) {
      case "CreateLease":
        return [{ type: "LeaseCreated", data: { labels: command.labels } }];
      case "DeleteLease":
        return [{ type: "LeaseDeleted", data: {} }];
      case "ExpireLease":
        return [{ type: "LeaseExpired", data: {} }];
      case "AddLeaseResource": {
        const { type, id } = command.resource;
        return isHeld(state, command.resource) ? [] : [{ type: "LeaseResourceAdded", data: { type, id } }];
      }
      case "RemoveLeaseResource": {
        const { type, id } = command.resource;
        return isHeld(state, command.resource) ? [{ type: "LeaseResourceRemoved", data: { type, id } }] : [];
      }
    }
  },
  evolve(state, fact) {
    switch (fact.type) {
      case "LeaseCreated":
        return { status: "present", labels: ordered(fact.data.labels), resources: [], createdAt: fact.time };
      case "LeaseResourceAdded":
        return { ...state, resources: [...state.resources, { type: fact.data.type, id: fact.data.id }] };
      case "LeaseResourceRemoved":
        return { ...state, resources: state.resources.filter((held) => !isSame(held, fact.data)) };
      case "LeaseDeleted":
      case "LeaseExpired":
        return initialState;
      default:
        return unknownFact(state, fact);
    }
  },
  isTerminal: (state) => state.status === "absent",
};

const isSame = (a: LeaseResource, b: LeaseResource): boolean => a.type === b.type && a.id === b.id;

const isHeld = (state: LeaseState, resource: LeaseResource): boolean =>
  state.resources.some((held) => isSame(held, resource));
