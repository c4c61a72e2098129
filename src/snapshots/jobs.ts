/** What a snapshot worker can be asked for, and the messages that go between it and its owner. Types only. */
import type { LayerCompression } from "./compress.ts";
import type { AppliedLayer } from "./layer-apply.ts";
import type { PlainError } from "./layer-errors.ts";
import type { LayerTarget } from "./layer-writer.ts";
import type { Usage } from "./tree.ts";
import type { Cloned } from "./tree-clone.ts";

/** `right` is a tree as a whole, or the upper directory of an overlay on `left`. `latest` bounds the times, seconds since 1970. */
export interface DiffJob {
  readonly left: string;
  readonly right: string;
  readonly form: "trees" | "upper";
  readonly compression: LayerCompression;
  readonly latest: number;
}

/** Each kind of job with what it is given and what it answers. */
export interface Jobs {
  /** `blob` is a path; without one the owner is asked for the bytes piece by piece. */
  apply: {
    given: { readonly blob: string | undefined; readonly mediaType: string; readonly target: LayerTarget };
    answer: AppliedLayer;
  };
  /** Writes the difference of two directories as a layer, which the owner takes piece by piece; answers with its diff id. */
  diff: { given: DiffJob; answer: string };
  /** Adds up what a directory takes. */
  usage: { given: { readonly directory: string }; answer: Usage };
  /** Names what differs between two directories: text, one JSON object a line, which the owner takes piece by piece. */
  changes: { given: Pick<DiffJob, "left" | "right">; answer: null };
  /** Makes a directory the copy of another. */
  clone: {
    given: { readonly source: string; readonly target: { readonly within: string; readonly name: string } };
    answer: Cloned;
  };
  /** Removes a name within a directory, and all below it. */
  remove: { given: { readonly directory: string; readonly name: string }; answer: null };
}
export type JobKind = keyof Jobs;

/** To the worker. `cancelled[0]` turns 1 when nobody waits any more. */
export type ToWorker =
  | {
      [K in JobKind]: {
        readonly message: "job";
        readonly kind: K;
        readonly given: Jobs[K]["given"];
        readonly cancelled: Int32Array;
      };
    }[JobKind]
  | { readonly message: "piece"; readonly bytes: Uint8Array | undefined }
  | { readonly message: "taken" }
  | { readonly message: "sourceFailed" };

/**
 * From the worker. After `pull` it waits for one `piece` (undefined at the end) or `sourceFailed`, after `output` for `taken` or
 * `sourceFailed`.
 */
export type FromWorker =
  | { readonly message: "pull" }
  | { readonly message: "output"; readonly bytes: Uint8Array }
  | { readonly message: "done"; readonly answer: Jobs[JobKind]["answer"] }
  | { readonly message: "failed"; readonly error: PlainError };
