/** The processes executed in a container, by name. */
import { ShimError } from "../error.ts";
import { StatusCode } from "../ttrpc/mod.ts";
import type { ContainerProcess } from "./process.ts";

export interface Exec {
  readonly process: ContainerProcess;
  /** An OCI process, as JSON text. */
  readonly spec: string;
}

export class Execs {
  readonly #execs = new Map<string, Exec>();

  get processes(): ContainerProcess[] {
    return [...this.#execs.values()].map(({ process }) => process);
  }

  add(exec: Exec): void {
    this.#execs.set(exec.process.execId, exec);
  }

  /** @throws ShimError AlreadyExists */
  assertFree(execId: string): void {
    if (this.#execs.has(execId)) throw new ShimError(StatusCode.AlreadyExists, `id ${execId}`);
  }

  /** @throws ShimError NotFound */
  get(execId: string): Exec {
    const exec = this.#execs.get(execId);
    if (exec === undefined) throw new ShimError(StatusCode.NotFound, `process does not exist ${execId}`);
    return exec;
  }

  /** False once it was deleted, also when another has its name by now. */
  has(process: ContainerProcess): boolean {
    return this.#execs.get(process.execId)?.process === process;
  }

  delete(execId: string): void {
    this.#execs.delete(execId);
  }

  /** The name of the one that runs as process `pid`, if any. */
  nameOf(pid: number): string | undefined {
    return this.processes.find((process) => process.pid === pid && process.status === "running")?.execId;
  }
}
