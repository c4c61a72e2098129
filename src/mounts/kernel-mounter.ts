import { readFileSync } from "node:fs";
import { mount } from "../platform/mod.ts";
import type { Mounter } from "./mounter.ts";

/** mount(2): bind mounts, and every type of file system that the kernel has; images through a loop device. */
export const kernelMounter: Mounter = {
  async mount({ target: _, ...description }, place) {
    mount(description, place);
  },
};

/** The types that the running kernel has now, as /proc/filesystems names them; a module that could be loaded is not among them. */
export function kernelTypes(): ReadonlySet<string> {
  const lines = readFileSync("/proc/filesystems", "utf8").split("\n");
  return new Set(lines.flatMap((line) => line.split("\t")[1] || []));
}
