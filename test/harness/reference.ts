/** The reference daemon for suites that are run against it too: containerd where it is installed. */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** A reason to skip, or false. */
export const noContainerd: string | false = (process.env.PATH ?? "")
  .split(delimiter)
  .some((directory) => existsSync(join(directory, "containerd")))
  ? false
  : "containerd is not installed";
