/** The public face of mounts: how what a snapshotter describes comes to be mounted. */
export { kernelMounter, kernelTypes } from "./kernel-mounter.ts";
export type { Mounter } from "./mounter.ts";
export { Mounters, TypeUnknown } from "./mounters.ts";
export { ProgramMounter } from "./program-mounter.ts";
