/** What a daemon asks for when it makes a container or a process, as the task service has read it. */
import type { StdioUris } from "../io/mod.ts";
import type { RootfsMount, RuntimeChoice } from "../journal/mod.ts";
import type { RestoreFrom, RuncOptions } from "../runc/mod.ts";

export interface CreateContainer extends RuncOptions {
  readonly id: string;
  readonly bundle: string;
  readonly rootfs: readonly RootfsMount[];
  readonly io: StdioUris;
  readonly ioUid: number;
  readonly ioGid: number;
  readonly runtime: RuntimeChoice;
  /** Where the container is to be restored from when it is started. */
  readonly checkpoint: RestoreFrom | undefined;
  /** The options as they came, for the journal. */
  readonly options: { readonly typeUrl: string; readonly value: string } | null;
}

export interface ExecProcess {
  readonly execId: string;
  readonly io: StdioUris;
  /** An OCI process, as JSON text. */
  readonly spec: string;
}
