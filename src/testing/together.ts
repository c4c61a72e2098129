/** The same commands on several runtimes at once. Where one of them goes wrong, what the others answered to the same command is told too. */
import type { Command } from "./command.ts";
import { Discrepancy } from "./discrepancy.ts";
import type { Endpoint } from "./endpoint.ts";
import { type Run, runSequence } from "./sequence.ts";

/** @throws Discrepancy of the first endpoint that does not do as the model says; what a run threw otherwise */
export async function runTogether(
  commands: readonly Command[],
  endpoints: readonly Endpoint[],
): Promise<readonly Run[]> {
  const results = await Promise.allSettled(endpoints.map((endpoint) => runSequence(commands, endpoint)));
  const failed = results.find((result) => result.status === "rejected");
  if (failed === undefined) return results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const { reason } = failed;
  if (!(reason instanceof Discrepancy)) throw reason;
  const { index } = reason.details;
  const others = results.flatMap((result, place) =>
    result.status === "fulfilled" ? [{ endpoint: endpoints[place]!.name, answer: result.value.answers[index] }] : [],
  );
  throw others.length === 0 ? reason : new Discrepancy({ ...reason.details, others });
}
