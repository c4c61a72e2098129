/**
 * What the standard streams of a process are to those who run it: the request that a client made, and what is handed to the OCI runtime
 * and awaited later. Owns the words only.
 */

/** Where a client wants the streams: paths of FIFOs, or URIs. The scheme of `stdout` decides for both outputs; empty is none. */
export interface StdioUris {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

/** Output that is in no log and no file. */
export interface StdioLoss {
  readonly bytes: number;
  readonly lines: number;
  readonly reason: string;
}

/** Everything that opening the streams of one process depends on. */
export interface StdioRequest extends StdioUris {
  readonly namespace: string;
  readonly containerId: string;
  /** Empty for the container's first process. */
  readonly execId: string;
  readonly bundle: string;
  /** Who may reopen the streams by name (`/dev/stdout`) inside the container; runc and crun then hand them to the process's own user. */
  readonly ioUid: number;
  readonly ioGid: number;
  /** Told of each loss, in order; of a log's at most once a second. */
  readonly onLoss?: (loss: StdioLoss) => void;
}

/** The streams of one process, from before it is made until after it has ended. */
export interface ProcessStdio {
  /** For spawning the OCI runtime: stdin, stdout, stderr, each a descriptor or "ignore" (the null device). All "ignore" with a terminal. */
  readonly descriptors: readonly [number | "ignore", number | "ignore", number | "ignore"];
  /** With a terminal: the path for --console-socket. */
  readonly consoleSocket: string | undefined;
  /** The runtime has returned well: closes what only the container needs and awaits the terminal's master. @throws Error when none comes */
  started(): Promise<void>;
  /** Nobody will write to stdin any more but those who have it open: when they leave, the process sees its end. */
  closeStdin(): void;
  /** The size of the terminal in characters; nothing without one. */
  resize(width: number, height: number): void;
  /** Opens log files anew by their names, for who has renamed them. @throws errors of open(2) */
  reopenLogs(): Promise<void>;
  /** Resolves when all output of the process has reached where it goes. Never rejects. */
  readonly drained: Promise<void>;
  /** Time is up for the output of a process that has ended: what is in its pipe is taken now, or counted as lost. `drained` resolves soon after. */
  abandon(): void;
  /** Gives everything up, output that has not reached where it goes included. Calling it again does nothing. */
  close(): Promise<void>;
}
