/**
 * The volume: an active snapshot under a name of its own, which outlives the containers that it is mounted into. Its stream is its history: who
 * had it when, where, and to which picture it went back.
 */
import type { FactType, Labels, StatedFact } from "../events/catalogue.ts";
import { buildChart, stay } from "./chart.ts";
import { type Decider, unknownFact } from "./decider.ts";
import { ordered } from "./maps.ts";
import { quoted, rejection } from "./rejection.ts";

/** `exclusive`: in one container at a time. */
export type Sharing = "shared" | "exclusive";

/** Where a container has it. */
export interface VolumeMount {
  readonly path: string;
  readonly readOnly: boolean;
  /** Unix nanoseconds. */
  readonly since: bigint;
}

/** A volume's row. */
export interface VolumeState {
  readonly status: "absent" | "present";
  readonly snapshotter: string;
  /** Of the active snapshot that holds its content now. */
  readonly snapshotKey: string;
  readonly sharing: Sharing;
  readonly labels: Labels;
  /** By container id. */
  readonly mounts: Readonly<Record<string, VolumeMount>>;
  readonly createdAt: bigint;
  readonly updatedAt: bigint;
}

export type VolumeCommand =
  | {
      readonly type: "CreateVolume";
      readonly name: string;
      readonly snapshotter: string;
      readonly snapshotKey: string;
      readonly sharing: Sharing;
      readonly labels: Labels;
    }
  | {
      readonly type: "MountVolume";
      readonly name: string;
      readonly container: string;
      readonly path: string;
      readonly readOnly: boolean;
    }
  /** No fact where the container does not have it. */
  | { readonly type: "RecordVolumeUnmounted"; readonly container: string }
  | { readonly type: "RecordVolumePictured"; readonly name: string; readonly picture: string }
  /** `snapshotKey`: of the active snapshot on the picture. */
  | {
      readonly type: "RollBackVolume";
      readonly name: string;
      readonly picture: string;
      readonly snapshotKey: string;
    }
  | { readonly type: "RemoveVolume"; readonly name: string };

export type VolumeFact = StatedFact<Extract<FactType, `Volume${string}`>>;

const initialState: VolumeState = {
  status: "absent",
  snapshotter: "",
  snapshotKey: "",
  sharing: "shared",
  labels: {},
  mounts: {},
  createdAt: 0n,
  updatedAt: 0n,
};

const chart = buildChart<VolumeState["status"], VolumeCommand["type"]>("volume", "absent", {
  absent: { ...stay("absent", ["RecordVolumeUnmounted"]), CreateVolume: "present" },
  present: {
    ...stay("present", ["MountVolume", "RecordVolumeUnmounted", "RecordVolumePictured", "RollBackVolume"]),
    RemoveVolume: "absent",
  },
});

export const volumeDecider: Decider<VolumeState, VolumeCommand, VolumeFact> = {
  kind: "volume",
  chart,
  initialState,
  decide(state, command) {
    if (chart.next(state.status, command.type) === undefined) return refuse(command);
    switch (command.type) {
      case "CreateVolume": {
        const { snapshotter, snapshotKey, sharing, labels } = command;
        return [{ type: "VolumeCreated", data: { snapshotter, snapshotKey, sharing, labels } }];
      }
      case "MountVolume": {
        const { name, container, path, readOnly } = command;
        if (Object.hasOwn(state.mounts, container)) return [];
        const [other] = Object.keys(state.mounts);
        if (state.sharing === "exclusive" && other !== undefined) {
          const said = `volume ${quoted(name)} is exclusive, and container ${quoted(other)} has it`;
          return rejection("FailedPrecondition", "VolumeExclusive", said);
        }
        return [{ type: "VolumeMounted", data: { container, path, readOnly } }];
      }
      case "RecordVolumeUnmounted": {
        const { container } = command;
        return Object.hasOwn(state.mounts, container) ? [{ type: "VolumeUnmounted", data: { container } }] : [];
      }
      case "RecordVolumePictured":
        return [{ type: "VolumePictured", data: { picture: command.picture } }];
      case "RollBackVolume": {
        const { picture, snapshotKey } = command;
        return inUse(state, command.name) ?? [{ type: "VolumeRolledBack", data: { picture, snapshotKey } }];
      }
      case "RemoveVolume":
        return inUse(state, command.name) ?? [{ type: "VolumeRemoved", data: {} }];
    }
  },
  evolve(state, fact) {
    switch (fact.type) {
      case "VolumeCreated": {
        const { snapshotter, snapshotKey, sharing, labels } = fact.data;
        return {
          status: "present",
          snapshotter,
          snapshotKey,
          sharing,
          labels: ordered(labels),
          mounts: {},
          createdAt: fact.time,
          updatedAt: fact.time,
        };
      }
      case "VolumeMounted": {
        const { container, path, readOnly } = fact.data;
        const mount = { path, readOnly, since: fact.time };
        return { ...state, mounts: ordered({ ...state.mounts, [container]: mount }), updatedAt: fact.time };
      }
      case "VolumeUnmounted": {
        const { [fact.data.container]: _, ...mounts } = state.mounts;
        return { ...state, mounts, updatedAt: fact.time };
      }
      case "VolumePictured":
        return { ...state, updatedAt: fact.time };
      case "VolumeRolledBack":
        return { ...state, snapshotKey: fact.data.snapshotKey, updatedAt: fact.time };
      case "VolumeRemoved":
        return initialState;
      default:
        return unknownFact(state, fact);
    }
  },
  isTerminal: (state) => state.status === "absent",
};

function inUse({ mounts }: VolumeState, name: string) {
  const [container] = Object.keys(mounts);
  if (container === undefined) return undefined;
  return rejection(
    "FailedPrecondition",
    "VolumeMounted",
    `volume ${quoted(name)} is mounted in container ${quoted(container)}`,
  );
}

function refuse(command: VolumeCommand) {
  if (command.type === "CreateVolume")
    return rejection("AlreadyExists", "VolumeExists", `volume ${quoted(command.name)}`);
  const name = command.type === "RecordVolumeUnmounted" ? "" : command.name;
  return rejection("NotFound", "VolumeAbsent", `volume ${quoted(name)}`);
}
