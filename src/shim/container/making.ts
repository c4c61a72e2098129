/**
 * Making a container's processes: streams opened, the runtime called with them, and what it made.
 *
 * Owns the order of that, and that a process which could not be had in full is not left running.
 */
import { join } from "node:path";
import { watchExit } from "../../platform/mod.ts";
import { openStdio, type ProcessStdio, resumeStdio, type StdioLoss, type StdioRequest } from "../io/mod.ts";
import type { Making } from "../runc/mod.ts";
import type { ContainerProcess } from "./process.ts";
import type { CreateContainer } from "./request.ts";

const SIGKILL = 9;

export interface MakerParts {
  readonly namespace: string;
  readonly request: CreateContainer;
  readonly onLoss: (execId: string, loss: StdioLoss) => void;
  readonly onTrouble: (text: string, error: unknown) => void;
}

export class Maker {
  readonly #parts: MakerParts;

  constructor(parts: MakerParts) {
    this.#parts = parts;
  }

  /** Where the runtime writes the pid of a process. */
  pidFile(execId: string): string {
    return join(this.#parts.request.bundle, execId === "" ? "init.pid" : `${execId}.pid`);
  }

  /** Gives the process its streams and, by `run`, its pid. @throws Error, after which there are neither */
  async make(process: ContainerProcess, run: (making: Making) => Promise<number>): Promise<void> {
    const stdio = await openStdio(this.#request(process));
    let pid: number | undefined;
    try {
      pid = await run({
        streams: stdio.descriptors,
        consoleSocket: stdio.consoleSocket,
        pidFile: this.pidFile(process.execId),
      });
      await stdio.started();
    } catch (error) {
      await stdio.close();
      if (pid !== undefined) await killed(pid);
      throw error;
    }
    process.pid = pid;
    process.attach(stdio);
  }

  /** Takes up the streams of a process that an earlier shim made; one whose streams are lost runs on without. */
  async resume(process: ContainerProcess): Promise<void> {
    try {
      process.stdio = (await resumeStdio(this.#request(process))) as ProcessStdio;
    } catch (error) {
      this.#parts.onTrouble("take up the output of a process", error);
    }
  }

  #request({ execId, io }: ContainerProcess): StdioRequest {
    const { namespace, onLoss, request } = this.#parts;
    const { id: containerId, bundle, ioUid, ioGid } = request;
    return { namespace, containerId, execId, bundle, ioUid, ioGid, ...io, onLoss: (loss) => onLoss(execId, loss) };
  }
}

/** Ends a process that nobody will hear of, and reaps it. */
async function killed(pid: number): Promise<void> {
  const watch = watchExit(pid);
  try {
    watch.signal(SIGKILL);
  } catch {
    // It has ended by itself.
  }
  await watch.exit;
}
