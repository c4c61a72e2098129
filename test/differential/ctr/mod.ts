/** The scripts of `ctr` commands that both daemons run. */
import { content } from "./content.ts";
import { images } from "./images.ts";
import { life } from "./life.ts";
import { rest } from "./rest.ts";
import { run } from "./run.ts";
import { snapshots } from "./snapshots.ts";
import type { Script } from "./step.ts";
import { tasks } from "./tasks.ts";

export const scripts: readonly Script[] = [life, content, images, snapshots, run, tasks, rest];
export type { Script, ScriptStep, Setting } from "./step.ts";
