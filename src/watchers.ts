/** Those who wait for a stream to reach some state: asked again after each fact of that stream, forgotten once answered or aborted. */
import { ShiplogError } from "./error.ts";
import type { View } from "./projections/mod.ts";

/** Watchers at a time. */
const WATCHERS_MAX = 65_536;

interface Watcher {
  /** True once it has its answer. */
  readonly ask: () => boolean;
}

export class Watchers {
  readonly #view: View;
  readonly #streams = new Map<string, Set<Watcher>>();
  #count = 0;

  constructor(view: View) {
    this.#view = view;
  }

  /** The heads of a stream have moved. */
  moved(namespace: string, stream: string): void {
    const name = `${namespace}\0${stream}`;
    const watchers = this.#streams.get(name);
    if (watchers === undefined) return;
    for (const watcher of watchers) if (watcher.ask()) this.#forget(name, watcher);
  }

  /** The first defined value of `query`, from now on. */
  until<T>(namespace: string, stream: string, query: (view: View) => T | undefined, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    const now = query(this.#view);
    if (now !== undefined) return Promise.resolve(now);
    if (this.#count >= WATCHERS_MAX) {
      throw new ShiplogError("ResourceExhausted", `wait for ${stream}: ${WATCHERS_MAX} calls wait already`);
    }
    const name = `${namespace}\0${stream}`;
    return new Promise<T>((resolve, reject) => {
      const settle = () => signal.removeEventListener("abort", abort);
      const watcher: Watcher = {
        ask: () => {
          try {
            const value = query(this.#view);
            if (value === undefined) return false;
            resolve(value);
          } catch (error) {
            reject(error);
          }
          settle();
          return true;
        },
      };
      const abort = () => {
        this.#forget(name, watcher);
        reject(signal.reason);
      };
      signal.addEventListener("abort", abort, { once: true });
      this.#remember(name, watcher);
    });
  }

  #remember(name: string, watcher: Watcher): void {
    const watchers = this.#streams.get(name);
    if (watchers === undefined) this.#streams.set(name, new Set([watcher]));
    else watchers.add(watcher);
    this.#count += 1;
  }

  #forget(name: string, watcher: Watcher): void {
    const watchers = this.#streams.get(name);
    if (!watchers?.delete(watcher)) return;
    this.#count -= 1;
    if (watchers.size === 0) this.#streams.delete(name);
  }
}
