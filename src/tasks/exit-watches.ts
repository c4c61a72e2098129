/**
 * The daemon's own eyes on the processes of tasks: a pidfd for each, so that how one ended is known also when its shim died before it could tell.
 *
 * Owns the pidfds and what they told. A process without a watch, or whose kernel does not tell the code of another's child, is one of which nothing is
 * known here. The shim's word comes first wherever there is one: it has seen more.
 */
import { type Clock, type ExitWatch, watchExit } from "../platform/mod.ts";
import type { TaskKey } from "./bundle.ts";

/** How a process ended. `exitedAt`: when it was noticed, unix nanoseconds. */
export interface SeenExit {
  readonly exitStatus: number;
  readonly exitedAt: bigint;
}

interface Watched {
  readonly key: TaskKey;
  readonly execId: string;
  readonly pid: number;
  readonly watch: ExitWatch;
  /** Resolves with what was seen, or undefined when that is nothing. */
  readonly ended: Promise<SeenExit | undefined>;
  seen: SeenExit | undefined;
}

export class ExitWatches {
  readonly #watched = new Map<string, Watched>();
  readonly #clock: Clock;
  readonly #onExit: (key: TaskKey, execId: string, exit: SeenExit) => void;

  /** `onExit` is told of each end whose code is known. */
  constructor(clock: Clock, onExit: (key: TaskKey, execId: string, exit: SeenExit) => void) {
    this.#clock = clock;
    this.#onExit = onExit;
  }

  /** Watches process `pid` of the task, init's when `execId` is empty. A start time tells it from a later process with the same number. */
  watch(key: TaskKey, execId: string, pid: number, startTime?: number): void {
    const name = nameOf(key, execId);
    if (pid === 0 || this.#watched.get(name)?.pid === pid) return;
    this.forget(key, execId);
    let watch: ExitWatch;
    try {
      watch = watchExit(pid, startTime);
    } catch {
      // No descriptor left, or a kernel without pidfds: the shim's word is then all that there is.
      return;
    }
    const ended = watch.exit.then(({ exitStatus, known }) => {
      if (!known) return undefined;
      watched.seen = { exitStatus, exitedAt: this.#clock.now() };
      this.#onExit(key, execId, watched.seen);
      return watched.seen;
    });
    const watched: Watched = { key, execId, pid, watch, ended, seen: undefined };
    this.#watched.set(name, watched);
  }

  /** How the process ended; undefined while it has not, or when nobody saw. */
  seen(key: TaskKey, execId: string, pid: number): SeenExit | undefined {
    const watched = this.#watched.get(nameOf(key, execId));
    return watched?.pid === pid ? watched.seen : undefined;
  }

  /** Resolves when the process has ended, with undefined where nobody saw how, or sees nothing of it at all. */
  async ended(key: TaskKey, execId: string): Promise<SeenExit | undefined> {
    return this.#watched.get(nameOf(key, execId))?.ended;
  }

  /** Of a process whose exit is recorded, or that is deleted. */
  forget(key: TaskKey, execId: string): void {
    const name = nameOf(key, execId);
    this.#watched.get(name)?.watch.close();
    this.#watched.delete(name);
  }

  /** Of all of a task's processes. */
  forgetTask({ namespace, id }: TaskKey): void {
    for (const { key, execId } of [...this.#watched.values()]) {
      if (key.namespace === namespace && key.id === id) this.forget(key, execId);
    }
  }

  close(): void {
    for (const { key, execId } of [...this.#watched.values()]) this.forget(key, execId);
  }
}

const nameOf = ({ namespace, id }: TaskKey, execId: string): string => `${namespace}/${id}/${execId}`;
