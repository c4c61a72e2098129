import { type Command, ExitStatus, parsePosition, UsageError } from "../command.ts";
import { EventLines, factJson } from "../render/mod.ts";

export const events: Command = {
  name: "events",
  summary: "print what happened, from any position; --follow waits for more",
  help: `Usage: shiplog events [--from POSITION] [--follow]

Prints every fact in the log's order, of all namespaces unless --namespace is given.

  --from POSITION   start there instead of at the oldest fact
  --follow          go on with facts as they happen

Stopped at any fact, --from with its position plus one goes on without gap or repeat, also after the daemon was restarted.
`,
  flags: { from: { type: "string" }, follow: { type: "boolean" } },

  async run({ log, out, json, namespaceFlag }, flags, operands) {
    if (operands.length > 0) throw new UsageError(`events takes no operand, but got "${operands[0]}"`);
    const fromPosition = flags.from === undefined ? (await log.head({})).oldestPosition : parsePosition(String(flags.from), "--from");
    const lines = new EventLines(out.style);
    if (!json) await out.lines(lines.heading());
    const request = { fromPosition, follow: flags.follow === true, namespace: namespaceFlag ?? "" };
    for await (const { facts } of log.read(request)) {
      await out.lines(...facts.map((fact) => (json ? factJson(fact) : lines.line(fact))));
    }
    return ExitStatus.fine;
  },
};
