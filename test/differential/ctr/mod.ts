/** The scripts that all daemons run, each on every pair of daemon and shim that it is about. */
import { content } from "./content.ts";
import { images } from "./images.ts";
import { life } from "./life.ts";
import { rest } from "./rest.ts";
import { run } from "./run.ts";
import { snapshots } from "./snapshots.ts";
import type { Script } from "./step.ts";
import { supervision } from "./supervision.ts";
import { tasks } from "./tasks.ts";

/** Those that are about running things, which the shim has a part in. */
export const scriptsOfTasks: readonly Script[] = [life, run, tasks, supervision];

/** All others. */
export const scriptsOfStores: readonly Script[] = [content, images, snapshots, rest];
