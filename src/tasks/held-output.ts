/**
 * The output that a shim was carrying when it died: it waits in FIFOs of the bundle, whose content the kernel forgets once nobody has them open any
 * more, as when the container ends before there is another shim.
 *
 * Owns descriptors that keep it, from the shim's death until the next one reads. It reads nothing itself, and holds up nobody.
 */
import { closeSync, constants, lstatSync, openSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Bundles, TaskKey } from "./bundle.ts";

/** Where our shims keep them in a bundle. */
const directoryName = "io";

export class HeldOutput {
  readonly #bundles: Bundles;
  readonly #held = new Map<string, readonly number[]>();

  constructor(bundles: Bundles) {
    this.#bundles = bundles;
  }

  /** Keeps what is in the task's FIFOs, and what comes. One that cannot be kept is lost as it would have been. */
  hold(key: TaskKey): void {
    const directory = join(this.#bundles.pathOf(key), directoryName);
    const descriptors: number[] = [];
    try {
      for (const name of readdirSync(directory)) {
        const path = join(directory, name);
        if (lstatSync(path).isFIFO())
          descriptors.push(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW));
      }
    } catch {
      // No shim of ours, nothing that it carried, all read meanwhile, or no descriptor left.
    }
    // Those that were held before are closed only now.
    this.release(key);
    if (descriptors.length > 0) this.#held.set(nameOf(key), descriptors);
  }

  /** Another shim reads, or nobody is to. */
  release(key: TaskKey): void {
    for (const descriptor of this.#held.get(nameOf(key)) ?? []) closeSync(descriptor);
    this.#held.delete(nameOf(key));
  }

  close(): void {
    for (const descriptor of [...this.#held.values()].flat()) closeSync(descriptor);
    this.#held.clear();
  }
}

const nameOf = ({ namespace, id }: TaskKey): string => `${namespace}/${id}`;
