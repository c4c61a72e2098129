import type { Fact } from "../../wire/gen/shiplog/events/v1/log.ts";
import { type Command, ExitStatus, Refusal, UsageError } from "../command.ts";
import { parseEntity } from "../entity.ts";
import { factJson, historyLines, kinds } from "../render/mod.ts";

/** A history is shown as one table, so it is held in memory; longer ones are for `events`. */
const factsMax = 100_000;

export const history: Command = {
  name: "history",
  summary: "print all that happened to an entity, by whom and why, also after it was deleted",
  help: `Usage: shiplog history KIND/ID...

Prints every fact of one entity, or of several in one table: when, what, who (the peer of the socket) and why (the request, and the
fact that led to it). Works after the entity was deleted.

Kinds: ${kinds.join(", ")}. A snapshot's ID is SNAPSHOTTER/KEY, a blob's its digest.

  shiplog history container/web task/web
  shiplog history snapshot/overlayfs/web
`,
  flags: {},

  async run({ log, out, json, namespace }, _flags, operands) {
    if (operands.length === 0) throw new UsageError("history takes one KIND/ID or more");
    const streams = [...new Set(operands)];
    for (const stream of streams) parseEntity(stream);

    const fromPosition = (await log.head({})).oldestPosition;
    const facts: Fact[] = [];
    for (const stream of streams) {
      const found = facts.length;
      for await (const response of log.read({ namespace, stream, fromPosition })) {
        facts.push(...response.facts);
        if (facts.length > factsMax) throw new Refusal(`${stream} has more than ${factsMax} facts; use: shiplog events`);
      }
      if (facts.length === found) throw new Refusal(`the log knows nothing of ${stream} in namespace ${namespace}`);
    }
    facts.sort((a, b) => (a.position < b.position ? -1 : 1));
    await out.lines(...(json ? facts.map(factJson) : historyLines(facts, streams.length > 1, out.style)));
    return ExitStatus.fine;
  },
};
