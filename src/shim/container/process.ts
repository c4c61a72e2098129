/**
 * One process of a container, init or an exec: its state, its streams, and those who wait for its end.
 *
 * Owns the state and nothing outside of it: who may change it when, and what is written down, is the container's business.
 */
import { type ExitWatch, withTimeout } from "../../platform/mod.ts";
import type { ProcessStdio, StdioUris } from "../io/mod.ts";
import { Line } from "./line.ts";

/** How long a deletion waits for output that is still on its way. */
const drainMsMax = 10_000;

/** What a process that will never run comes to for those who wait. */
export const neverRan = 255;

export type ProcessStatus = "created" | "running" | "stopped";

export interface Ended {
  /** 128 + n for signal n; 255 when nobody knows it. */
  readonly exitStatus: number;
  /** Unix nanoseconds. */
  readonly exitedAt: bigint;
}

export class ContainerProcess {
  /** Empty for init. */
  readonly execId: string;
  readonly io: StdioUris;
  /** What is done to it, one after the other, but for signals and questions. */
  readonly line = new Line();
  /** 0 before it was made; kept after its end. */
  pid = 0;
  status: ProcessStatus = "created";
  stdio: ProcessStdio | undefined;
  watch: ExitWatch | undefined;
  ended: Ended | undefined;
  /** Resolves with `ended` once the exit is written down. */
  readonly exit: Promise<Ended>;
  readonly #settle: (ended: Ended) => void;
  #startTold: Promise<void> = Promise.resolve();
  #stdinClosed = false;

  constructor(execId: string, io: StdioUris) {
    this.execId = execId;
    this.io = io;
    const { promise, resolve } = Promise.withResolvers<Ended>();
    this.exit = promise;
    this.#settle = resolve;
  }

  /** Resolves once a start that is under way has been told of: an exit is never told before. */
  get startTold(): Promise<void> {
    return this.#startTold;
  }

  /** Holds back the telling of an exit until `start`, which ends with the telling of the start, is done, well or not. */
  async holdingExit<T>(start: () => Promise<T>): Promise<T> {
    const told = Promise.withResolvers<void>();
    this.#startTold = told.promise;
    try {
      return await start();
    } finally {
      told.resolve();
    }
  }

  /** The process has ended, or will never run: nobody waits any longer. The first end counts. */
  end(ended: Ended): void {
    if (this.ended !== undefined) return;
    this.ended = ended;
    this.status = "stopped";
    this.#settle(ended);
  }

  /** Resolves when its output has arrived where it goes, or its time is up. It has ended. */
  async drained(): Promise<void> {
    if (this.stdio === undefined) return;
    const isThere = await withTimeout(
      this.stdio.drained.then(() => true),
      drainMsMax,
    );
    if (isThere === undefined) this.stdio.abandon();
  }

  /** Nobody will write to its input any more; a client may say so before the process is made, and means it then. */
  closeStdin(): void {
    this.#stdinClosed = true;
    this.stdio?.closeStdin();
  }

  /** The process has these streams from here on. */
  attach(stdio: ProcessStdio): void {
    this.stdio = stdio;
    if (this.#stdinClosed) stdio.closeStdin();
  }

  /** Gives up what the shim holds of it. */
  async release(): Promise<void> {
    this.watch?.close();
    await this.stdio?.close();
  }
}
