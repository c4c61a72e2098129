/** The image: a name for a target. Wordings: containerd's metadata/images.go. */
import type { Descriptor, FactType, Labels, StatedFact } from "../events/catalogue.ts";
import { buildChart } from "./chart.ts";
import { type Decider, unknownFact } from "./decider.ts";
import { ordered, sameLabels } from "./maps.ts";
import { quoted, rejection } from "./rejection.ts";

/** An image's row: a name for a target. */
export interface ImageState {
  readonly status: "absent" | "present";
  readonly target: Descriptor;
  readonly labels: Labels;
  readonly createdAt: bigint;
  readonly updatedAt: bigint;
}

export type ImageCommand =
  | { readonly type: "CreateImage"; readonly name: string; readonly target: Descriptor; readonly labels: Labels }
  /** Only the fields to change, each with its whole new value. */
  | { readonly type: "UpdateImage"; readonly name: string; readonly target?: Descriptor; readonly labels?: Labels }
  | { readonly type: "DeleteImage"; readonly name: string };

export type ImageFact = StatedFact<Extract<FactType, `Image${string}`>>;

const initialState: ImageState = {
  status: "absent",
  target: { mediaType: "", digest: "", size: 0, annotations: {} },
  labels: {},
  createdAt: 0n,
  updatedAt: 0n,
};

const chart = buildChart<ImageState["status"], ImageCommand["type"]>("image", "absent", {
  absent: { CreateImage: "present" },
  present: { UpdateImage: "present", DeleteImage: "absent" },
});

export const imageDecider: Decider<ImageState, ImageCommand, ImageFact> = {
  kind: "image",
  chart,
  initialState,
  decide(state, command) {
    const legal = chart.next(state.status, command.type) !== undefined;
    switch (command.type) {
      case "CreateImage":
        if (!legal) return rejection("AlreadyExists", "ImageExists", `image ${quoted(command.name)}`);
        return [{ type: "ImageCreated", data: { target: command.target, labels: command.labels } }];
      case "UpdateImage": {
        if (!legal) return rejection("NotFound", "ImageAbsent", `image ${quoted(command.name)}`);
        const { target, labels } = command;
        const changes = {
          ...(target !== undefined && !sameDescriptor(target, state.target) && { target }),
          ...(labels !== undefined && !sameLabels(labels, state.labels) && { labels }),
        };
        return [{ type: "ImageUpdated", data: changes }];
      }
      case "DeleteImage":
        if (!legal) return rejection("NotFound", "ImageAbsent", `image ${quoted(command.name)}`);
        return [{ type: "ImageDeleted", data: {} }];
    }
  },
  evolve(state, fact) {
    switch (fact.type) {
      case "ImageCreated":
        return {
          status: "present",
          target: rowTarget(fact.data.target),
          labels: ordered(fact.data.labels),
          createdAt: fact.time,
          updatedAt: fact.time,
        };
      case "ImageUpdated": {
        const { target, labels } = fact.data;
        return {
          ...state,
          target: target === undefined ? state.target : rowTarget(target),
          labels: labels === undefined ? state.labels : ordered(labels),
          updatedAt: fact.time,
        };
      }
      case "ImageDeleted":
        return initialState;
      default:
        return unknownFact(state, fact);
    }
  },
  isTerminal: (state) => state.status === "absent",
};

const rowTarget = ({ mediaType, digest, size, annotations }: Descriptor): Descriptor => ({
  mediaType,
  digest,
  size,
  annotations: ordered(annotations),
});

const sameDescriptor = (a: Descriptor, b: Descriptor): boolean =>
  a.mediaType === b.mediaType && a.digest === b.digest && a.size === b.size && sameLabels(a.annotations, b.annotations);
