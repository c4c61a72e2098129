import { type Command, ExitStatus, UsageError } from "../command.ts";
import { counted, integer } from "../render/mod.ts";

export const rebuild: Command = {
  name: "rebuild",
  summary: "make the tables anew from the log",
  help: `Usage: shiplog rebuild

Makes the tables anew from the log while the daemon goes on, and tells whether they are byte for byte what they were. The exit status
is 1 when they are not.
`,
  flags: {},

  async run({ log, out, json }, _flags, operands) {
    if (operands.length > 0) throw new UsageError(`rebuild takes no operand, but got "${operands[0]}"`);
    const { facts, rows, durationNano, identical } = await log.rebuild({});
    if (json) {
      await out.lines(JSON.stringify({ facts: integer(facts), rows: integer(rows), durationNano: integer(durationNano), identical }));
    } else {
      const seconds = (Number(durationNano) / 1e9).toFixed(3);
      const verdict = identical ? out.style("green", "identical to what was there") : out.style("red", "NOT what was there");
      await out.lines(`${counted(rows, "row")} from ${counted(facts, "fact")} in ${seconds} s: ${verdict}`);
    }
    return identical ? ExitStatus.fine : ExitStatus.problem;
  },
};
