/** The namespace: a name under which everything else is kept apart. Wordings: containerd's metadata/namespaces.go. */
import type { FactType, Labels, StatedFact } from "../events/catalogue.ts";
import { buildChart } from "./chart.ts";
import { type Decider, unknownFact } from "./decider.ts";
import { ordered } from "./maps.ts";
import { quoted, rejection } from "./rejection.ts";

/** A namespace's row. Times are unix nanoseconds. */
export interface NamespaceState {
  readonly status: "absent" | "present";
  readonly labels: Labels;
  readonly createdAt: bigint;
}

export type NamespaceCommand =
  /** By a client's wish. */
  | { readonly type: "CreateNamespace"; readonly name: string; readonly labels: Labels }
  /** By the first write within it; no fact when it exists. */
  | { readonly type: "EnsureNamespace" }
  /**
   * `labels` is the whole resulting map, `requested` what the client sent; creates the namespace when it is absent, as containerd does.
   */
  | { readonly type: "UpdateNamespace"; readonly name: string; readonly labels: Labels; readonly requested: Labels }
  /** `holds` lists what it still contains, in containerd's words ("images", "blobs", "containers", "snapshots on overlayfs …"). */
  | { readonly type: "DeleteNamespace"; readonly name: string; readonly holds: readonly string[] };

export type NamespaceFact = StatedFact<Extract<FactType, `Namespace${string}`>>;

const initialState: NamespaceState = { status: "absent", labels: {}, createdAt: 0n };

const chart = buildChart<NamespaceState["status"], NamespaceCommand["type"]>("namespace", "absent", {
  absent: { CreateNamespace: "present", EnsureNamespace: "present", UpdateNamespace: "present" },
  present: { EnsureNamespace: "present", UpdateNamespace: "present", DeleteNamespace: "absent" },
});

export const namespaceDecider: Decider<NamespaceState, NamespaceCommand, NamespaceFact> = {
  kind: "namespace",
  chart,
  initialState,
  decide(state, command) {
    const legal = chart.next(state.status, command.type) !== undefined;
    const absent = state.status === "absent";
    switch (command.type) {
      case "CreateNamespace":
        if (!legal) return rejection("AlreadyExists", "NamespaceExists", `namespace ${quoted(command.name)}`);
        return [{ type: "NamespaceCreated", data: { labels: command.labels, implicit: false } }];
      case "EnsureNamespace":
        return absent ? [{ type: "NamespaceCreated", data: { labels: {}, implicit: true } }] : [];
      case "UpdateNamespace": {
        const updated = {
          type: "NamespaceUpdated",
          data: { labels: command.labels, requested: command.requested },
        } as const;
        if (absent) return [{ type: "NamespaceCreated", data: { labels: {}, implicit: true } }, updated];
        return [updated];
      }
      case "DeleteNamespace":
        if (!legal) return rejection("NotFound", "NamespaceAbsent", `namespace ${quoted(command.name)}`);
        if (command.holds.length > 0) {
          const said = `namespace ${quoted(command.name)} must be empty, but it still has ${command.holds.join(", ")}`;
          return rejection("FailedPrecondition", "NamespaceNotEmpty", said);
        }
        return [{ type: "NamespaceDeleted", data: {} }];
    }
  },
  evolve(state, fact) {
    switch (fact.type) {
      case "NamespaceCreated":
        return { status: "present", labels: ordered(fact.data.labels), createdAt: fact.time };
      case "NamespaceUpdated":
        return { ...state, labels: ordered(fact.data.labels) };
      case "NamespaceDeleted":
        return initialState;
      default:
        return unknownFact(state, fact);
    }
  },
  isTerminal: (state) => state.status === "absent",
};
