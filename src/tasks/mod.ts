/** The public face of tasks: the manager that runs them, and what its operations take and give. */
export type { Arrange, Arranged, ArrangeRequest } from "./arrange.ts";
export type { TaskKey } from "./bundle.ts";
export type { Checkpoint } from "./checkpoint.ts";
export type { CreateTask } from "./create.ts";
export type { AddExec } from "./exec.ts";
export type { Signal } from "./lifecycle.ts";
export { TaskManager, type TaskManagerOptions, type TaskMetric } from "./manager.ts";
export type { Envelope } from "./observe.ts";
export type { Stray } from "./strays.ts";
export { searchPathOf } from "./runtime-path.ts";
export { defaultShimSettings, type ShimSettings, shimCgroups, shimGroupings, sparesMax } from "./shim-settings.ts";
