/**
 * The snapshot: a layer of a filesystem, in work or committed. An active one ends when it is committed; what it became lives on the stream
 * of its new name. Wordings: containerd's metadata/snapshot.go and snapshots/storage/bolt.go.
 */
import type { FactType, Labels, StatedFact } from "../events/catalogue.ts";
import { buildChart } from "./chart.ts";
import { type Decider, type Rejection, unknownFact } from "./decider.ts";
import { ordered } from "./maps.ts";
import { quoted, rejection } from "./rejection.ts";

export type SnapshotKind = "active" | "view" | "committed";

/** A snapshot's row, under `<snapshotter>/<key or name>`. */
export interface SnapshotState {
  readonly status: "absent" | SnapshotKind;
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
}

/** What the plan saw of the named parent: "none" when the request names none. */
export type ObservedParent = "none" | "absent" | SnapshotKind;

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
};

const chart = buildChart<SnapshotState["status"], SnapshotCommand["type"]>("snapshot", "absent", {
  absent: { PrepareSnapshot: "active", ViewSnapshot: "view", SealSnapshot: "committed" },
  active: { CommitSnapshot: "absent", UpdateSnapshot: "active", RemoveSnapshot: "absent" },
  view: { UpdateSnapshot: "view", RemoveSnapshot: "absent" },
  committed: { UpdateSnapshot: "committed", RemoveSnapshot: "absent" },
});

export const snapshotDecider: Decider<SnapshotState, SnapshotCommand, SnapshotFact> = {
  kind: "snapshot",
  chart,
  initialState,
  decide(state, command) {
    // containerd takes the name before it looks for the key, so a commit that is sent twice says that the snapshot exists.
    if (command.type === "CommitSnapshot" && command.nameTaken) return exists(command.name);
    if (chart.next(state.status, command.type) === undefined) return refuse(state, command);
    switch (command.type) {
      case "PrepareSnapshot":
      case "ViewSnapshot": {
        const { id, parent, labels } = command;
        if (command.observedParent === "absent") {
          return rejection("NotFound", "ParentAbsent", `parent snapshot ${parent} does not exist`);
        }
        if (command.observedParent === "active" || command.observedParent === "view") {
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
      case "SnapshotSealed": {
        const { id, parent, labels } = fact.data;
        return {
          status: statusAfter[fact.type],
          id,
          parent,
          labels: ordered(labels),
          size: fact.type === "SnapshotSealed" ? fact.data.size : 0,
          inodes: fact.type === "SnapshotSealed" ? fact.data.inodes : 0,
          createdAt: fact.time,
          updatedAt: fact.time,
        };
      }
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

const statusAfter = { SnapshotPrepared: "active", SnapshotViewed: "view", SnapshotSealed: "committed" } as const;

const exists = (name: string): Rejection => rejection("AlreadyExists", "SnapshotExists", `snapshot ${quoted(name)}`);

function refuse(state: SnapshotState, command: SnapshotCommand): Rejection {
  switch (command.type) {
    case "PrepareSnapshot":
    case "ViewSnapshot":
      return exists(command.key);
    case "SealSnapshot":
      return exists(command.name);
    case "CommitSnapshot":
    case "UpdateSnapshot":
    case "RemoveSnapshot": {
      if (state.status === "absent") {
        return rejection("NotFound", "SnapshotAbsent", `snapshot ${command.key} does not exist`);
      }
      const said = `failed to commit snapshot: snapshot ${quoted(command.key)} is not active`;
      return rejection("FailedPrecondition", "SnapshotNotActive", said);
    }
  }
}
