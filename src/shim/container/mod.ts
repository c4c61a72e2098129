/** Containers and their processes. */
export type { CheckpointRequest } from "./checkpoint.ts";
export { Container } from "./container.ts";
export type { ContainerParts } from "./members.ts";
export { Orphans } from "./orphans.ts";
export type { ContainerProcess } from "./process.ts";
export type { CreateContainer, ExecProcess } from "./request.ts";
export { detachRootfs } from "./rootfs.ts";
