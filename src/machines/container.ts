/** The container: a record of what to run. Wordings: containerd's metadata/containers.go. */
import type { AnyValue, FactType, Facts, Labels, StatedFact } from "../events/catalogue.ts";
import { buildChart } from "./chart.ts";
import { type Decider, unknownFact } from "./decider.ts";
import { ordered, sameAny, sameAnys, sameLabels } from "./maps.ts";
import { quoted, rejection } from "./rejection.ts";

/** A container's row: a record, not a process. */
export interface ContainerState {
  readonly status: "absent" | "present";
  readonly labels: Labels;
  readonly image: string;
  readonly runtime: { readonly name: string; readonly options: AnyValue | null };
  readonly spec: AnyValue | null;
  readonly snapshotter: string;
  readonly snapshotKey: string;
  readonly extensions: Readonly<Record<string, AnyValue>>;
  readonly sandbox: string;
  readonly createdAt: bigint;
  readonly updatedAt: bigint;
}

export type ContainerCommand =
  | {
      readonly type: "CreateContainer";
      readonly id: string;
      readonly labels: Labels;
      readonly image: string;
      readonly runtime: { readonly name: string; readonly options: AnyValue | null };
      readonly spec: AnyValue;
      readonly snapshotter: string;
      readonly snapshotKey: string;
      readonly extensions: Readonly<Record<string, AnyValue>>;
      readonly sandbox: string;
    }
  /** Only the fields to change, each with its whole new value: the edge has applied the field mask. */
  | {
      readonly type: "UpdateContainer";
      readonly id: string;
      readonly labels?: Labels;
      readonly image?: string;
      readonly spec?: AnyValue;
      readonly snapshotKey?: string;
      readonly extensions?: Readonly<Record<string, AnyValue>>;
    }
  | { readonly type: "DeleteContainer"; readonly id: string };

export type ContainerFact = StatedFact<Extract<FactType, `Container${string}`>>;

const initialState: ContainerState = {
  status: "absent",
  labels: {},
  image: "",
  runtime: { name: "", options: null },
  spec: null,
  snapshotter: "",
  snapshotKey: "",
  extensions: {},
  sandbox: "",
  createdAt: 0n,
  updatedAt: 0n,
};

const chart = buildChart<ContainerState["status"], ContainerCommand["type"]>("container", "absent", {
  absent: { CreateContainer: "present" },
  present: { UpdateContainer: "present", DeleteContainer: "absent" },
});

export const containerDecider: Decider<ContainerState, ContainerCommand, ContainerFact> = {
  kind: "container",
  chart,
  initialState,
  decide(state, command) {
    const legal = chart.next(state.status, command.type) !== undefined;
    switch (command.type) {
      case "CreateContainer": {
        if (!legal) return rejection("AlreadyExists", "ContainerExists", `container ${quoted(command.id)}`);
        const { labels, image, runtime, spec, snapshotter, snapshotKey, extensions, sandbox } = command;
        return [
          {
            type: "ContainerCreated",
            data: { labels, image, runtime, spec, snapshotter, snapshotKey, extensions, sandbox },
          },
        ];
      }
      case "UpdateContainer": {
        if (!legal) return rejection("NotFound", "ContainerAbsent", `container ${quoted(command.id)}`);
        const changes = changesOf(state, command);
        return [{ type: "ContainerUpdated", data: changes }];
      }
      case "DeleteContainer":
        if (!legal) return rejection("NotFound", "ContainerAbsent", `container ${command.id}`);
        return [{ type: "ContainerDeleted", data: {} }];
    }
  },
  evolve(state, fact) {
    switch (fact.type) {
      case "ContainerCreated":
        return {
          status: "present",
          labels: ordered(fact.data.labels),
          image: fact.data.image,
          runtime: fact.data.runtime,
          spec: fact.data.spec,
          snapshotter: fact.data.snapshotter,
          snapshotKey: fact.data.snapshotKey,
          extensions: ordered(fact.data.extensions),
          sandbox: fact.data.sandbox,
          createdAt: fact.time,
          updatedAt: fact.time,
        };
      case "ContainerUpdated": {
        const { labels, image, spec, snapshotKey, extensions } = fact.data;
        return {
          ...state,
          labels: labels === undefined ? state.labels : ordered(labels),
          image: image ?? state.image,
          spec: spec ?? state.spec,
          snapshotKey: snapshotKey ?? state.snapshotKey,
          extensions: extensions === undefined ? state.extensions : ordered(extensions),
          updatedAt: fact.time,
        };
      }
      case "ContainerDeleted":
        return initialState;
      default:
        return unknownFact(state, fact);
    }
  },
  isTerminal: (state) => state.status === "absent",
};

/** The fields of the command that differ from the row. */
function changesOf(
  state: ContainerState,
  command: Extract<ContainerCommand, { type: "UpdateContainer" }>,
): Facts["ContainerUpdated"] {
  const { labels, image, spec, snapshotKey, extensions } = command;
  return {
    ...(labels !== undefined && !sameLabels(labels, state.labels) && { labels }),
    ...(image !== undefined && image !== state.image && { image }),
    ...(spec !== undefined && !sameAny(spec, state.spec) && { spec }),
    ...(snapshotKey !== undefined && snapshotKey !== state.snapshotKey && { snapshotKey }),
    ...(extensions !== undefined && !sameAnys(extensions, state.extensions) && { extensions }),
  };
}
