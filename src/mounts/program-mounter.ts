import { type MountDescription, readMountinfo, runProgram } from "../platform/mod.ts";
import type { Mounter } from "./mounter.ts";

/**
 * A program that is called as mount(8) calls its helpers: `COMMAND SOURCE PLACE [-o OPTION,OPTION]`. It ends once the mount is there; what serves
 * it goes on in the background, and ends when it is unmounted. That is how FUSE's file systems behave.
 */
export class ProgramMounter implements Mounter {
  readonly #command: string;

  /** @param command the absolute path of the program */
  constructor(command: string) {
    this.#command = command;
  }

  async mount({ type, source, options }: MountDescription, place: string): Promise<void> {
    const before = mountsOn(place);
    await runProgram("mounter.run", this.#command, [
      source,
      place,
      ...(options.length > 0 ? ["-o", options.join(",")] : []),
    ]);
    if (mountsOn(place) > before) return;
    throw new Error(
      `mount ${source} of type ${type}: ${this.#command} has ended well and nothing is mounted on ${place}`,
    );
  }
}

const mountsOn = (place: string): number => readMountinfo().filter(({ mountpoint }) => mountpoint === place).length;
