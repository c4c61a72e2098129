/**
 * The `delete` action: clears away what is left of a bundle whose shim the daemon has lost, and tells how its container ended.
 *
 * A daemon calls it when its connection to the shim has broken, when a start has failed, and (containerd 1.6) at the end of every ordinary task, after
 * the shim was told to shut down. Only of the last two it is certain that nothing runs. So what the container's shim says decides:
 * - No shim lives: the container is killed if it still runs, removed from the runtime, unmounted. The answer is its true exit where the journal or the
 *   kernel has it, which is 137 where this call killed it, or 255 where it had ended and nobody saw how; 137 for one that was never created.
 * - A shim lives and its container has ended, or it has none: the shim does the deleting, and its answer is given on.
 * - A shim lives and its container does too: nothing is touched and the action fails. A broken connection is no reason to kill a healthy container; the
 *   daemon keeps the bundle, refuses a second container of that name, and finds shim and container again when it next starts. A daemon that means to
 *   end it kills the container or the shim first.
 */
import { basename } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  type ExitWatch,
  type ProcessExit,
  runProgram,
  systemClock,
  unmountAll,
  watchExit,
} from "../../platform/mod.ts";
import type { DeleteResponse } from "../../wire/gen/containerd/task/v2/shim.ts";
import { Status } from "../../wire/gen/containerd/types/task/task.ts";
import { timestampFromUnixNano } from "../../wire/time.ts";
import { endRuntimesOf } from "../runc/mod.ts";
import { Journal, JournalHeld, type JournalState, journalState } from "../journal/mod.ts";
import { StatusCode, TtrpcClosed, TtrpcError } from "../ttrpc/mod.ts";
import { addressOfShim, groupingOf, groupOf } from "./address.ts";
import { annotationsOf, readAddress } from "./bundle.ts";
import { removeUnlessServed } from "./claim.ts";
import type { CommandLine } from "./command-line.ts";
import { LivingShim } from "./living-shim.ts";

/** As long as containerd asks for a task's state; together these are less than the 5 s that it gives this action. */
const lookMsMax = 2_000;

/** How long a shim that no longer listens may take to be gone. */
const predecessorMsMax = 2_000;
const predecessorAskEveryMs = 10;

/** The shim itself may wait for output that is still on its way. */
const shimDeleteMsMax = 3_000;

/** How long a killed process may take to be gone. */
const killedMsMax = 1_000;

const killedStatus = 137;
const SIGKILL = 9;

/** Warnings of single steps, which stop no other, go to `warn`. @throws Error when the container and its shim live */
export async function deleteBundle(
  namespace: string,
  id: string,
  bundle: string,
  warn: (text: string) => void,
): Promise<DeleteResponse> {
  if (basename(bundle) !== id) throw new Error(`delete ${id}: ${bundle} is not its bundle`);
  const address = readAddress(bundle);
  const told = address === undefined ? undefined : await deleteByShim(address, namespace, id);
  if (told !== undefined) return told;
  const journal = await openJournal(bundle);
  try {
    const state = journal === undefined ? undefined : journalState(journal.entries);
    // The shim may have died while the runtime was making something.
    await endRuntimesOf(bundle);
    const exit = state === undefined ? undefined : await clearRuntime(state, id, warn);
    await unmountAll(`${bundle}/rootfs`, { lazy: true }).catch((error: Error) =>
      warn(`unmount rootfs: ${error.message}`),
    );
    return exit ?? response(state?.created?.pid ?? 0, killedStatus, systemClock.now());
  } finally {
    await journal?.close();
  }
}

/**
 * Removes the socket where the bundle's shim listened, or would have listened: one that was killed early has told nobody of it. A socket that a shim
 * listens at stays. `grouping` is the word of SHIPLOG_SHIM_GROUPING.
 */
export async function removeSockets(
  { namespace, id, address: daemonAddress }: CommandLine,
  bundle: string,
  grouping: string | undefined,
): Promise<void> {
  const told = readAddress(bundle);
  if (told !== undefined) await removeUnlessServed(told);
  const group = groupOf(groupingOf(grouping), id, annotationsOf(bundle));
  await removeUnlessServed(addressOfShim(daemonAddress, namespace, group));
}

/** Undefined when no shim lives that knows of the container. */
async function deleteByShim(address: string, namespace: string, id: string): Promise<DeleteResponse | undefined> {
  const shim = await LivingShim.find(address, namespace);
  if (shim === undefined) return undefined;
  try {
    const { status, pid } = await shim.call("state", { id, execId: "" }, lookMsMax);
    if (status !== Status.STOPPED)
      throw new Error(`container ${id} (process ${pid}) runs and its shim at ${address} lives: nothing is deleted`);
    const deleted = await shim.call("delete", { id, execId: "" }, shimDeleteMsMax);
    await shim.call("shutdown", { id, now: false }, lookMsMax).catch(() => {});
    return deleted;
  } catch (error) {
    if (error instanceof TtrpcClosed) return undefined;
    if (error instanceof TtrpcError && error.code === StatusCode.NotFound) return undefined;
    throw error;
  } finally {
    shim.close();
  }
}

/** The right to the journal, so that nobody adopts meanwhile; undefined when there is no bundle any more. @throws JournalHeld when a shim has it */
async function openJournal(bundle: string): Promise<Journal | undefined> {
  const deadline = Date.now() + predecessorMsMax;
  for (;;) {
    try {
      return await Journal.open(bundle);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      if (!(error instanceof JournalHeld) || Date.now() > deadline) throw error;
      await delay(predecessorAskEveryMs);
    }
  }
}

async function clearRuntime(
  state: JournalState,
  id: string,
  warn: (text: string) => void,
): Promise<DeleteResponse | undefined> {
  const { creating, created, exit, deleted } = state;
  // Watched from before it is killed: how it ended is then known, also when it was quicker.
  const watch = created === undefined || exit !== undefined ? undefined : watchExit(created.pid, created.startTime);
  try {
    if (creating !== undefined && !deleted) {
      const { binary, root, systemdCgroup } = creating.runtime;
      const args = ["--root", root, ...(systemdCgroup ? ["--systemd-cgroup"] : []), "delete", "--force", id];
      await runProgram("shim.delete.runtime", binary, args).catch((error: Error) => warn(error.message));
    }
    if (exit !== undefined) return response(exit.pid, exit.exitStatus, BigInt(exit.exitedAt));
    if (created === undefined || watch === undefined) return undefined;
    return response(created.pid, (await endOf(watch, created.pid)).exitStatus, systemClock.now());
  } finally {
    watch?.close();
  }
}

/** The runtime may have failed to kill it. @throws Error when it does not end */
async function endOf(watch: ExitWatch, pid: number): Promise<ProcessExit> {
  const late = delay(killedMsMax, undefined, { ref: false });
  const ended = (await Promise.race([watch.exit, late])) ?? undefined;
  if (ended !== undefined) return ended;
  watch.signal(SIGKILL);
  const killed = (await Promise.race([watch.exit, delay(killedMsMax)])) ?? undefined;
  if (killed === undefined) throw new Error(`process ${pid} does not end`);
  return killed;
}

function response(pid: number, exitStatus: number, exitedAt: bigint): DeleteResponse {
  return { pid, exitStatus, exitedAt: timestampFromUnixNano(exitedAt) };
}
