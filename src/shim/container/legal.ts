/**
 * What may be done in which state, in the words of containerd's shim (pkg/process/init_state.go, exec_state.go). Owns the words; they throw plain
 * Errors, which have no class there either.
 */
export type ContainerStatus = "created" | "running" | "stopped" | "pausing" | "paused";

/** For whichever process. */
export function assertMayStart(status: ContainerStatus): void {
  if (status === "pausing" || status === "paused") throw new Error("cannot start a paused process");
  if (status !== "created") throw new Error(`cannot start a ${status} process`);
}

/** `isRestored`: it is yet to be restored from a checkpoint. */
export function assertMayExec(status: ContainerStatus, isRestored: boolean): void {
  if (status !== "running" && (status !== "created" || isRestored)) throw new Error(`cannot exec in a ${status} state`);
}

export function assertMayPause(status: ContainerStatus): void {
  if (status === "created") throw new Error("cannot pause task in created state");
  if (status !== "running") throw new Error(`cannot pause a ${status} container`);
}

export function assertMayResume(status: ContainerStatus): void {
  if (status === "created") throw new Error("cannot resume task in created state");
  if (status === "running") throw new Error("cannot resume a running process");
  if (status !== "paused") throw new Error(`cannot resume a ${status} container`);
}

export function assertMayUpdate(status: ContainerStatus): void {
  if (status === "stopped") throw new Error("cannot update a stopped container");
}

export function assertMayCheckpoint(status: ContainerStatus): void {
  if (status === "created") throw new Error("cannot checkpoint a task in created state");
  if (status === "stopped") throw new Error("cannot checkpoint a stopped container");
}

export function assertMayDelete(status: ContainerStatus): void {
  if (status === "pausing" || status === "paused") throw new Error("cannot delete a paused process");
  if (status === "running") throw new Error("cannot delete a running process");
}
