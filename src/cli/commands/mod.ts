/** Every sub-command of `shiplog`, in the order in which `--help` lists them. */
import type { Command } from "../command.ts";
import { charts } from "./charts.ts";
import { events } from "./events.ts";
import { explain } from "./explain.ts";
import { fsck } from "./fsck.ts";
import { gc } from "./gc.ts";
import { history } from "./history.ts";
import { ls } from "./ls.ts";
import { rebuild } from "./rebuild.ts";
import { snapshot } from "./snapshot.ts";
import { state } from "./state.ts";
import { verify } from "./verify.ts";
import { volume } from "./volume.ts";

export const commands: readonly Command[] = [events, history, explain, ls, state, verify, rebuild, gc, fsck, snapshot, volume, charts];
