/**
 * What a mounter is: the way in which mounts of one type come about. A snapshotter only describes its mounts, so that a type which the kernel
 * does not know needs no code here, but a program.
 */
import type { MountDescription } from "../platform/mod.ts";

export interface Mounter {
  /**
   * Mounts the description on the directory `place`, its own `target` left aside; when this resolves it is there. Unmounting `place` undoes all of
   * it: what it needed below must let go by itself.
   * @throws KernelError, or an Error with what the program said
   */
  mount(description: MountDescription, place: string): Promise<void>;
}
