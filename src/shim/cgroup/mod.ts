/**
 * The public face of the shim's dealings with control groups: what a container used, whether the kernel killed any of it for
 * want of memory, and which groups the shim itself is in. It creates no group of a container and sets no limit: the OCI
 * runtime does.
 */
export { type CgroupOf, type CgroupV1, type CgroupV2, cgroupAtPath, cgroupOfProcess } from "./location.ts";
export { ContainerMembership, joinShimCgroup } from "./membership.ts";
export { type OomWatch, oomKillsOf, watchOom } from "./oom.ts";
export { adjustOomScore } from "./oom-score.ts";
export { collectStats } from "./stats.ts";
