/**
 * The snapshot: a layer of a filesystem, in work or committed. An active one ends when it is committed; what it became lives on the stream
 * of its new name. Or a picture is taken of it, which is a committed snapshot under a name of its own, while the active one goes on.
 * Wordings: containerd's metadata/snapshot.go and snapshots/storage/bolt.go.
 */
import type { FactType, Labels, StatedFact } from "../events/catalogue.ts";
import { buildChart } from "./chart.ts";
import { type Decider, type Rejection, unknownFact } from "./decider.ts";
import { ordered } from "./maps.ts";
import { quoted, rejection } from "./rejection.ts";

export type SnapshotKind = "active" | "view" | "committed";

/** A picture that is being made. */
export interface OpenPicture {
  readonly name: string;
  /** Of the picture's directory. */
  readonly id: string;
  /** Ids of the containers that are made to stand still for it. */
  readonly containers: readonly string[];
}

/** Of what a committed snapshot is a picture. */
export interface PictureOf {
  /** The key of the active snapshot. */
  readonly key: string;
  /** The container whose root that was, or empty. */
  readonly container: string;
  /** Unix nanoseconds. */
  readonly at: bigint;
}

/** A snapshot's row, under `<snapshotter>/<key or name>`. In status `taking` it is active, and a picture of it is being made. */
export interface SnapshotState {
  readonly status: "absent" | SnapshotKind | "taking";
  /** Names the directory on disk, unique in a snapshotter. */
  readonly id: string;
  /** Name of a committed snapshot in the same namespace and snapshotter, or empty. */
  readonly parent: string;
  readonly labels: Labels;
  /** Of its own layer; set for committed ones, 0 otherwise. Bytes. */
  readonly size: number;
  readonly inodes: number;
  readonly createdAt: bigint;
  readonly updatedAt: bigint;
  /** In status `taking`. */
  readonly taking: OpenPicture | null;
  /** Null for what is no picture. */
  readonly picture: PictureOf | null;
}

/** What the plan saw of the named parent: "none" when the request names none. */
export type ObservedParent = "none" | SnapshotState["status"];

export type SnapshotCommand =
  | {
      readonly type: "PrepareSnapshot" | "ViewSnapshot";
      readonly key: string;
      readonly id: string;
      readonly parent: string;
      readonly observedParent: ObservedParent;
      readonly labels: Labels;
    }
  /** On the key's stream; goes together with SealSnapshot on the name's stream. `nameTaken`: a snapshot of that name or key exists. */
  | { readonly type: "CommitSnapshot"; readonly key: string; readonly name: string; readonly nameTaken: boolean }
  | {
      readonly type: "SealSnapshot";
      readonly name: string;
      readonly key: string;
      readonly id: string;
      readonly parent: string;
      readonly labels: Labels;
      readonly size: number;
      readonly inodes: number;
    }
  /** Says that a picture is about to be taken of the active snapshot `key`; closed by RecordTaken or RecordTakeFailed. */
  | (OpenPicture & { readonly type: "TakeSnapshot"; readonly key: string; readonly nameTaken: boolean })
  /** On the key's stream; goes together with KeepPicture on the name's stream. Bytes; `pausedNs` is 0 when nothing ran. */
  | {
      readonly type: "RecordTaken";
      readonly key: string;
      readonly name: string;
      readonly paused: readonly string[];
      readonly pausedNs: number;
      readonly sharedBytes: number;
      readonly copiedBytes: number;
    }
  | { readonly type: "RecordTakeFailed"; readonly key: string; readonly name: string; readonly message: string }
  | {
      readonly type: "KeepPicture";
      readonly name: string;
      readonly of: PictureOf;
      readonly id: string;
      readonly parent: string;
      readonly labels: Labels;
      readonly size: number;
      readonly inodes: number;
    }
  | { readonly type: "UpdateSnapshot"; readonly key: string; readonly labels: Labels }
  | { readonly type: "RemoveSnapshot"; readonly key: string; readonly children: number; readonly collected?: boolean };

export type SnapshotFact = StatedFact<Extract<FactType, `Snapshot${string}`>>;

const initialState: SnapshotState = {
  status: "absent",
  id: "",
  parent: "",
  labels: {},
  size: 0,
  inodes: 0,
  createdAt: 0n,
  updatedAt: 0n,
  taking: null,
  picture: null,
};

const chart = buildChart<SnapshotState["status"], SnapshotCommand["type"]>("snapshot", "absent", {
  absent: { PrepareSnapshot: "active", ViewSnapshot: "view", SealSnapshot: "committed", KeepPicture: "committed" },
  active: { CommitSnapshot: "absent", TakeSnapshot: "taking", UpdateSnapshot: "active", RemoveSnapshot: "absent" },
  taking: { RecordTaken: "active", RecordTakeFailed: "active", UpdateSnapshot: "taking" },
  view: { UpdateSnapshot: "view", RemoveSnapshot: "absent" },
  committed: { UpdateSnapshot: "committed", RemoveSnapshot: "absent" },
});

export const snapshotDecider: Decider<SnapshotState, SnapshotCommand, SnapshotFact> = {
  kind: "snapshot",
  chart,
  initialState,
  decide(state, command) {
    // containerd takes the name before it looks for the key, so a commit that is sent twice says that the snapshot exists.
    if ((command.type === "CommitSnapshot" || command.type === "TakeSnapshot") && command.nameTaken)
      return exists(command.name);
    if (chart.next(state.status, command.type) === undefined) return refuse(state, command);
    switch (command.type) {
      case "PrepareSnapshot":
      case "ViewSnapshot": {
        const { id, parent, labels } = command;
        if (command.observedParent === "absent") {
          return rejection("NotFound", "ParentAbsent", `parent snapshot ${parent} does not exist`);
        }
        if (command.observedParent !== "none" && command.observedParent !== "committed") {
          const said = `failed to create snapshot: parent ${quoted(parent)} is not committed snapshot`;
          return rejection("InvalidArgument", "ParentNotCommitted", said);
        }
        const type = command.type === "PrepareSnapshot" ? "SnapshotPrepared" : "SnapshotViewed";
        return [{ type, data: { id, parent, labels } }];
      }
      case "CommitSnapshot":
        return [{ type: "SnapshotCommitted", data: { name: command.name } }];
      case "SealSnapshot": {
        const { key, id, parent, labels, size, inodes } = command;
        return [{ type: "SnapshotSealed", data: { key, id, parent, labels, size, inodes } }];
      }
      case "TakeSnapshot": {
        const { name, id, containers } = command;
        return [{ type: "SnapshotTaking", data: { name, id, containers } }];
      }
      case "RecordTaken": {
        const { name, paused, pausedNs, sharedBytes, copiedBytes } = command;
        return [{ type: "SnapshotTaken", data: { name, paused, pausedNs, sharedBytes, copiedBytes } }];
      }
      case "RecordTakeFailed":
        return [{ type: "SnapshotTakeFailed", data: { name: command.name, message: command.message } }];
      case "KeepPicture": {
        const { of, id, parent, labels, size, inodes } = command;
        return [{ type: "SnapshotPictured", data: { of, id, parent, labels, size, inodes } }];
      }
      case "UpdateSnapshot":
        return [{ type: "SnapshotUpdated", data: { labels: command.labels } }];
      case "RemoveSnapshot":
        if (command.children > 0) {
          return rejection("FailedPrecondition", "SnapshotHasChildren", "cannot remove snapshot with child");
        }
        return [{ type: "SnapshotRemoved", data: command.collected === true ? { collected: true } : {} }];
    }
  },
  evolve(state, fact) {
    switch (fact.type) {
      case "SnapshotPrepared":
      case "SnapshotViewed":
      case "SnapshotSealed":
      case "SnapshotPictured": {
        const { id, parent, labels } = fact.data;
        const committed = fact.type === "SnapshotSealed" || fact.type === "SnapshotPictured";
        return {
          status: statusAfter[fact.type],
          id,
          parent,
          labels: ordered(labels),
          size: committed ? fact.data.size : 0,
          inodes: committed ? fact.data.inodes : 0,
          createdAt: fact.time,
          updatedAt: fact.time,
          taking: null,
          picture: fact.type === "SnapshotPictured" ? fact.data.of : null,
        };
      }
      case "SnapshotTaking":
        return { ...state, status: "taking", taking: fact.data };
      case "SnapshotTaken":
      case "SnapshotTakeFailed":
        return { ...state, status: "active", taking: null };
      case "SnapshotUpdated":
        return { ...state, labels: ordered(fact.data.labels), updatedAt: fact.time };
      case "SnapshotCommitted":
      case "SnapshotRemoved":
        return initialState;
      default:
        return unknownFact(state, fact);
    }
  },
  isTerminal: (state) => state.status === "absent",
};

const statusAfter = {
  SnapshotPrepared: "active",
  SnapshotViewed: "view",
  SnapshotSealed: "committed",
  SnapshotPictured: "committed",
} as const;

/** What kind of snapshot it is to clients, who need not know of pictures; undefined when there is none. */
export function kindOf({ status }: Pick<SnapshotState, "status">): SnapshotKind | undefined {
  if (status === "absent") return undefined;
  return status === "taking" ? "active" : status;
}

const exists = (name: string): Rejection => rejection("AlreadyExists", "SnapshotExists", `snapshot ${quoted(name)}`);

function refuse(state: SnapshotState, command: SnapshotCommand): Rejection {
  switch (command.type) {
    case "PrepareSnapshot":
    case "ViewSnapshot":
      return exists(command.key);
    case "SealSnapshot":
    case "KeepPicture":
      return exists(command.name);
    case "RecordTaken":
    case "RecordTakeFailed": {
      const said = `snapshot ${quoted(command.key)} has no picture ${quoted(command.name)} in the making`;
      return rejection("FailedPrecondition", "PictureNotOpen", said);
    }
    case "CommitSnapshot":
    case "TakeSnapshot":
    case "UpdateSnapshot":
    case "RemoveSnapshot": {
      if (state.status === "absent") {
        return rejection("NotFound", "SnapshotAbsent", `snapshot ${command.key} does not exist`);
      }
      if (state.status === "taking") {
        const said = `a picture is being taken of snapshot ${quoted(command.key)}`;
        return rejection("FailedPrecondition", "SnapshotBeingTaken", said);
      }
      const what = command.type === "TakeSnapshot" ? "take" : "commit";
      const said = `failed to ${what} snapshot: snapshot ${quoted(command.key)} is not active`;
      return rejection("FailedPrecondition", "SnapshotNotActive", said);
    }
  }
}
