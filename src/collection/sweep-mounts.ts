import { readdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { unmountAll } from "../platform/mod.ts";

/**
 * Undoes the temporary mounts that a daemon which was killed has left. To be awaited at start, before anything mounts there. A directory that
 * is not empty afterwards stays: what is in it is no mount of ours. `onLeftover` is told of what could not be undone. Returns the number
 * removed.
 */
export async function sweepMounts(temporary: string, onLeftover: (error: Error) => void): Promise<number> {
  let removed = 0;
  for (const name of await readdir(temporary)) {
    const place = join(temporary, name);
    try {
      await unmountAll(place, { lazy: true });
      await rmdir(place);
      removed += 1;
    } catch (error) {
      onLeftover(new Error(`undo the temporary mount ${place}`, { cause: error }));
    }
  }
  return removed;
}
