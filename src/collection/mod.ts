/** The public face of collection: what nothing reaches any more, its removal, and what is on the machine that no table knows. */
export { Collector, type Collection, type CollectorOptions } from "./collector.ts";
export { check, type CheckOptions, type Finding, Repair } from "./fsck.ts";
export { InFlight } from "./in-flight.ts";
export { type Unreachable, unreachable } from "./reachable.ts";
export { sweepMounts } from "./sweep-mounts.ts";
export { CollectionSchedule } from "./schedule.ts";
