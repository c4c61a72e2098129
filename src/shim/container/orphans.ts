/**
 * Orphans: processes that a container has left to the shim, as a daemon that double-forks without a pid namespace of its own does. They are reaped, and
 * nobody is told.
 *
 * Owns the sweep. It must take no exit from libuv or from a watch: those take theirs in the turn of the loop in which they are told of it, so what is
 * still a zombie one sweep later is nobody's.
 */
import { errorCode, reap, type ZombieChild, zombieChildren } from "../../platform/mod.ts";

/** From the end of some child to a sweep, and between sweeps while there are zombies. */
const sweepAfterMs = 1_000;

export class Orphans {
  readonly #onTrouble: (text: string, error: unknown) => void;
  #seen: readonly ZombieChild[] = [];
  #timer: NodeJS.Timeout | undefined;
  readonly #onChild = () => this.#soon();

  constructor(onTrouble: (text: string, error: unknown) => void) {
    this.#onTrouble = onTrouble;
    process.on("SIGCHLD", this.#onChild);
  }

  close(): void {
    process.off("SIGCHLD", this.#onChild);
    clearTimeout(this.#timer);
  }

  #soon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      try {
        this.#sweep();
      } catch (error) {
        this.#onTrouble("reap orphans", error);
      }
    }, sweepAfterMs).unref();
  }

  #sweep(): void {
    const zombies = zombieChildren();
    const isOld = ({ pid, startTime }: ZombieChild) =>
      this.#seen.some((before) => before.pid === pid && before.startTime === startTime);
    for (const { pid } of zombies.filter(isOld)) reapIfAny(pid);
    this.#seen = zombies.filter((zombie) => !isOld(zombie));
    if (this.#seen.length > 0) this.#soon();
  }
}

function reapIfAny(pid: number): void {
  try {
    reap(pid);
  } catch (thrown) {
    if (errorCode(thrown) !== "ECHILD") throw thrown;
  }
}
