import type { Fact } from "../../wire/gen/shiplog/events/v1/log.ts";
import { type Command, ExitStatus, Refusal, UsageError } from "../command.ts";
import { parseEntity } from "../entity.ts";
import { kinds } from "../render/mod.ts";

/** The facts of a stream are held in memory; of more, `events` tells. */
const FACTS_MAX = 100_000;

export const explain: Command = {
  name: "explain",
  summary: "show where an entity is in its chart, how it came there, and what could happen next",
  help: `Usage: shiplog explain KIND/ID

Prints the chart of an entity's kind with the status that it is in, the facts that brought it there, and the commands that are legal now.
Of a task, also its execs. Works after the entity was deleted.

Kinds: ${kinds.join(", ")}. A snapshot's ID is SNAPSHOTTER/KEY, a blob's its digest.

  shiplog explain task/web
  shiplog explain snapshot/overlayfs/web
`,
  flags: {},

  async run({ log, out, json, namespace }, _flags, operands) {
    const [entity, surplus] = operands;
    if (entity === undefined) throw new UsageError("explain takes a KIND/ID");
    if (surplus !== undefined) throw new UsageError(`explain takes one KIND/ID, but got "${surplus}" as well`);
    const { kind, key } = parseEntity(entity);
    const facts: Fact[] = [];
    const fromPosition = (await log.head({})).oldestPosition;
    for await (const response of log.read({ namespace, stream: entity, fromPosition })) {
      facts.push(...response.facts);
      if (facts.length > FACTS_MAX)
        throw new Refusal(`${entity} has more than ${FACTS_MAX} facts; use: shiplog events`);
    }
    if (facts.length === 0) throw new Refusal(`the log knows nothing of ${entity} in namespace ${namespace}`);

    // Loaded here, for the machines take longer to load than most commands to run.
    const { explain } = await import("../render/explanation.ts");
    const { explanationJson, explanationLines } = await import("../render/explanation-lines.ts");
    const explanation = explain(kind, facts);
    if (json) await out.lines(explanationJson({ namespace, kind, key }, explanation));
    else await out.lines(...explanationLines(`${entity} in namespace ${namespace}`, explanation, out.style));
    return ExitStatus.fine;
  },
};
