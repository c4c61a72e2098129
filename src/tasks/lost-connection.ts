/**
 * A connection that ends while its task lives. It is no proof that the shim has ended: a shim that can be reached again keeps
 * its task, and only one that cannot is recorded as lost.
 */
import { takeOver } from "./adopt.ts";
import { processName, type TaskContext } from "./context.ts";
import type { LiveShim } from "./live-shims.ts";

/** In line with the task's other operations, whose own calls have failed by then. */
export async function settleLostConnection(context: TaskContext, lost: LiveShim): Promise<void> {
  const { key } = lost;
  // At once: its container may end before its turn comes.
  context.heldOutput.hold(key);
  await context.queue.run(processName(key), async () => {
    if (context.stopping.aborted) return;
    if (context.shims.get(key) !== lost) return context.heldOutput.release(key);
    context.shims.remove(lost);
    await takeOver(context, key);
  });
}
