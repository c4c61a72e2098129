/** Every sub-command of `shiplog`, in the order in which `--help` lists them. */
import type { Command } from "../command.ts";
import { events } from "./events.ts";
import { fsck } from "./fsck.ts";
import { gc } from "./gc.ts";
import { history } from "./history.ts";
import { rebuild } from "./rebuild.ts";
import { state } from "./state.ts";
import { verify } from "./verify.ts";

export const commands: readonly Command[] = [events, history, state, verify, rebuild, gc, fsck];
