/** What a task needs that its shim cannot see to: asked for when its creation is recorded, before there is a shim. */
import type { AnyValue, Mount } from "../events/catalogue.ts";
import type { Origin } from "../ledger.ts";
import type { ContainerState } from "../machines/mod.ts";
import type { TaskKey } from "./bundle.ts";

/** The root as the client wants it, and the container's record with its spec. */
export interface ArrangeRequest {
  readonly container: ContainerState;
  readonly rootfs: readonly Mount[];
  readonly spec: AnyValue | null;
}

/** The root and the spec as the shim is to have them. */
export type Arranged = Pick<ArrangeRequest, "rootfs" | "spec">;

/** When it throws, the creation fails. Whoever arranges hears of the task's end from the log. */
export type Arrange = (origin: Origin, key: TaskKey, request: ArrangeRequest) => Promise<Arranged>;
